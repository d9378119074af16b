import { Button } from "../../ui/Button";
import type { Kind } from "../kind";

/** Something that happens once: a button. */
export const cue: Kind = {
  name: "cue",
  match: (field) => field.cue && field.type === "boolean",
  parse: () => true,
  format: () => "",
  Control: ({ field, disabled, turn }) => (
    <Button
      data-testid={`control-${field.name}`}
      disabled={disabled}
      onClick={() => {
        turn(true);
      }}
    >
      {field.label}
    </Button>
  ),
};
