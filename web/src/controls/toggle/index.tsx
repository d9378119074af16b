import { Switch } from "../../ui/Switch";
import type { Kind } from "../kind";

export const toggle: Kind = {
  name: "toggle",
  match: ({ type }) => type === "boolean",
  parse: (text) => ({ on: true, true: true, off: false, false: false })[text.trim().toLowerCase()],
  format: (value) => (value === true ? "on" : "off"),
  Control: ({ field, value, disabled, turn }) => (
    <Switch label={field.label} on={value === true} disabled={disabled} testId={`control-${field.name}`} onTurn={turn} />
  ),
};
