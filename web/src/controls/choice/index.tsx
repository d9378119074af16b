import { Select } from "../../ui/Select";
import type { Json } from "../../wire/schema";
import { AUTO, type Kind } from "../kind";

export const choice: Kind = {
  name: "choice",
  match: ({ choices }) => choices !== null,
  parse: (text, { choices, nullable }) => {
    if (nullable && text === AUTO) return null;
    return choices?.find((each) => String(each) === text);
  },
  format: (value: Json) => (value === null ? AUTO : String(value)),
  Control: ({ field, value, disabled, turn }) => {
    const all: Json[] = [...(field.nullable ? [null] : []), ...(field.choices ?? [])];
    const format = (each: Json): string => choice.format(each, field);
    return (
      <Select
        id={`control-${field.name}`}
        data-testid={`control-${field.name}`}
        aria-label={field.label}
        value={format(value)}
        disabled={disabled}
        choices={all.map((each) => ({ value: format(each), label: format(each) }))}
        onChoose={(text) => {
          turn(choice.parse(text, field) ?? null);
        }}
      />
    );
  },
};
