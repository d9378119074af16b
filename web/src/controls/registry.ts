/** The kinds, most special first; the first that matches draws the field. */

import type { Field } from "../wire/schema";
import { choice } from "./choice";
import { cue } from "./cue";
import type { Kind } from "./kind";
import { number, openNumber } from "./number";
import { other } from "./other";
import { size } from "./size";
import { steps } from "./steps";
import { text } from "./text";
import { toggle } from "./toggle";

export const KINDS: Kind[] = [cue, size, choice, toggle, number, openNumber, steps, text, other];

export function kindOf(field: Field): Kind {
  return KINDS.find((kind) => kind.match(field)) ?? other;
}

/** Rows of fields: one each, but neighbours of a paired kind together, the wide before the high. */
export function rowsOf(fields: Field[]): Field[][] {
  const rows: Field[][] = [];
  for (const field of fields) {
    const last = rows.at(-1);
    const kind = kindOf(field);
    if (kind.pair && last?.length === 1 && last[0] && kindOf(last[0]) === kind) last.splice(field.name === "width" ? 0 : 1, 0, field);
    else rows.push([field]);
  }
  return rows;
}
