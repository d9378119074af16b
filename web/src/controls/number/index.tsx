import { Slider } from "../../ui/Slider";
import type { Json } from "../../wire/schema";
import { AUTO, type ControlProps, formatNumber, type Kind, parseNumber } from "../kind";
import { ValueBox } from "../ValueBox";

/** A number between two ends: a slider. */
export const number: Kind = {
  name: "number",
  match: ({ type, minimum, maximum, choices }) =>
    (type === "number" || type === "integer") && minimum !== null && maximum !== null && maximum - minimum <= 10_000 && !choices,
  parse: parseNumber,
  format: formatNumber,
  Control: NumberControl,
};

/** A number without ends: a box. */
export const openNumber: Kind = {
  ...number,
  name: "open-number",
  match: ({ type, choices }) => (type === "number" || type === "integer") && !choices,
  format: (value) => (typeof value === "number" ? String(value) : AUTO),
  Control: (props) => <ValueBox {...props} kind={openNumber} />,
};

function NumberControl(props: ControlProps) {
  const { field, value, disabled, turn, reset } = props;
  const min = field.minimum ?? 0;
  const max = field.maximum ?? 1;
  const now = typeof value === "number" ? value : min;
  return (
    <div className="slider">
      <Slider
        label={field.label}
        value={now}
        min={min}
        max={max}
        from={originOf(min, max, field.preset)}
        step={field.type === "integer" ? 1 : (max - min) / 1000}
        text={formatNumber(value, field)}
        disabled={disabled}
        testId={`control-${field.name}`}
        onTurn={turn}
        onReset={reset}
      />
      <ValueBox {...props} kind={number} suffix="-value" />
    </div>
  );
}

/** Where the bar grows from: zero or a default in the middle, else the lower end. */
function originOf(min: number, max: number, preset: Json): number {
  if (min < 0 && max > 0) return 0;
  return preset === (min + max) / 2 ? preset : min;
}
