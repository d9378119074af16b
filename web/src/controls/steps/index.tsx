import { AUTO, type Kind } from "../kind";
import { ValueBox } from "../ValueBox";

/** A list of whole numbers, such as denoising steps: "1000, 750, 500". */
export const steps: Kind = {
  name: "steps",
  match: ({ type, items }) => type === "array" && items === "integer",
  parse: (typed, { nullable }) => {
    const parts = typed.split(/[\s,;]+/).filter(Boolean);
    if (!parts.length || typed.trim() === AUTO) return nullable ? null : undefined;
    const numbers = parts.map(Number);
    return numbers.every(Number.isInteger) ? numbers : undefined;
  },
  format: (value) => (Array.isArray(value) ? value.join(", ") : AUTO),
  Control: (props) => <ValueBox {...props} kind={steps} />,
};
