import type { ComponentProps } from "react";

export interface Choice {
  value: string;
  label: string;
  why?: string | null; // why it cannot be chosen
}

interface Props extends Omit<ComponentProps<"select">, "onChange"> {
  choices: Choice[];
  onChoose: (value: string) => void;
}

export function Select({ choices, onChoose, ...rest }: Props) {
  return (
    <select
      className="select"
      onChange={(event) => {
        onChoose(event.target.value);
      }}
      {...rest}
    >
      {choices.map(({ value, label, why }) => (
        <option key={value} value={value} disabled={Boolean(why)} title={why ?? undefined}>
          {why ? `${label} (${why})` : label}
        </option>
      ))}
    </select>
  );
}
