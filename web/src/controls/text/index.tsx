import type { Kind } from "../kind";
import { ValueBox } from "../ValueBox";

export const text: Kind = {
  name: "text",
  match: ({ type }) => type === "string",
  parse: (typed, { nullable }) => (nullable && typed === "" ? null : typed),
  format: (value) => (value === null ? "" : String(value)),
  Control: (props) => <ValueBox {...props} kind={text} />,
};
