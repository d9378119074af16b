/** A kind of value: which fields it draws, what counts as a value, how it is written and turned. */

import type { ReactNode } from "react";
import type { Field, Json } from "../wire/schema";

export interface ControlProps {
  field: Field;
  value: Json;
  disabled: boolean;
  turn: (value: Json) => void;
  reset: () => void;
}

export interface Kind {
  name: string;
  match: (field: Field) => boolean;
  /** The value in `text`; undefined when it is none. */
  parse: (text: string, field: Field) => Json | undefined;
  format: (value: Json, field: Field) => string;
  Control: (props: ControlProps) => ReactNode;
  pair?: boolean; // neighbours of this kind share a row
}

export const AUTO = "auto"; // how null is written

export function clamp(value: number, { minimum, maximum }: Field): number {
  return Math.min(maximum ?? Infinity, Math.max(minimum ?? -Infinity, value));
}

export function parseNumber(text: string, field: Field): number | null | undefined {
  const plain = text.trim().replace(",", ".");
  if (plain === "" || plain === AUTO) return field.nullable ? null : undefined;
  const value = Number(plain);
  if (!Number.isFinite(value)) return undefined;
  return clamp(field.type === "integer" ? Math.round(value) : value, field);
}

export function formatNumber(value: Json, field: Field): string {
  if (typeof value !== "number") return AUTO;
  if (field.type === "integer") return String(value);
  const span = (field.maximum ?? 0) - (field.minimum ?? 0);
  return value.toFixed(span > 100 ? 0 : span > 10 ? 1 : 2);
}
