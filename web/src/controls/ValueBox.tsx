import { TypedField } from "../ui/TypedField";
import type { ControlProps, Kind } from "./kind";

interface Props extends ControlProps {
  kind: Pick<Kind, "parse" | "format">;
  suffix?: string; // of the test id, where the box is not the control itself
}

/** The value as text, to type. */
export function ValueBox({ kind, field, value, disabled, turn, reset, suffix = "" }: Props) {
  return (
    <TypedField
      id={`control-${field.name}${suffix}`}
      data-testid={`control-${field.name}${suffix}`}
      aria-label={`${field.label}${suffix ? " value" : ""}`}
      text={kind.format(value, field)}
      disabled={disabled}
      onDoubleClick={suffix ? reset : undefined}
      onCommit={(text) => {
        const parsed = kind.parse(text, field);
        if (parsed !== undefined) turn(parsed);
        return parsed !== undefined;
      }}
    />
  );
}
