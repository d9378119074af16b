import { formatNumber, type Kind, parseNumber } from "../kind";
import { ValueBox } from "../ValueBox";

/** One side of the picture; both stand in one row. */
export const size: Kind = {
  name: "size",
  match: ({ component, type }) => component === "resolution" && type === "integer",
  parse: parseNumber,
  format: formatNumber,
  pair: true,
  Control: (props) => <ValueBox {...props} kind={size} />,
};
