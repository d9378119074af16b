import { type ComponentProps, useState } from "react";

interface Props extends Omit<ComponentProps<"input">, "value" | "onChange"> {
  text: string; // what it stands at
  /** False: this is not a value; the field says so and keeps what was typed. */
  onCommit: (text: string) => boolean;
}

/** Shows a value; while someone types, shows what they type. Enter or leaving takes it, Escape drops it. */
export function TypedField({ text, onCommit, className = "", ...rest }: Props) {
  const [draft, setDraft] = useState<string | null>(null);
  const [wrong, setWrong] = useState(false);
  const done = (): void => {
    setWrong(false);
    setDraft(null);
  };
  const commit = (): boolean => {
    const good = draft === null || draft === text || onCommit(draft);
    if (good) done();
    else setWrong(true);
    return good;
  };
  return (
    <input
      className={`field ${className}`}
      value={draft ?? text}
      spellCheck={false}
      autoComplete="off"
      aria-invalid={wrong}
      onFocus={(event) => {
        event.target.select();
      }}
      onChange={(event) => {
        setDraft(event.target.value);
      }}
      onBlur={() => {
        if (!commit()) done();
      }}
      onKeyDown={(event) => {
        if (event.key === "Enter" && commit()) event.currentTarget.select();
        if (event.key === "Escape") {
          done();
          event.currentTarget.blur();
        }
      }}
      {...rest}
    />
  );
}
