import type { Json } from "../../wire/schema";
import type { Kind } from "../kind";
import { ValueBox } from "../ValueBox";

/** A kind of value this page has no control for yet: written as JSON. */
export const other: Kind = {
  name: "other",
  match: () => true,
  parse: (typed) => {
    try {
      return JSON.parse(typed) as Json;
    } catch {
      return undefined;
    }
  },
  format: (value) => JSON.stringify(value),
  Control: (props) => <ValueBox {...props} kind={other} />,
};
