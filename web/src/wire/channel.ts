/** What travels on the data channel: parameters go out as flat objects, typed messages come back. */

import type { Change, Json } from "./schema";

export type Said = Change; // parameter name -> value; `_ack` asks for an answer

export type Heard =
  | { type: "stream_stopped"; error_message?: string; code?: string }
  | { type: "parameters_updated"; parameters: Change }
  | { type: "applied"; seq: number; keys: string[]; frame: number }
  | { type: "warning"; message: string; code?: string; keys: string[] }
  | { type: "recovered"; message: string; code?: string }
  | { type: "transition"; state: string; progress: number | null }
  | { type: "prompt_read"; prompts: Reading[] }
  | { type: "metrics"; figures: Record<string, number> };

/** What a model with a small vocabulary made of a prompt. */
export interface Reading {
  text: string;
  understood: string[];
  unknown: string[];
}

type Raw = Record<string, unknown>;

/** The message in `data`; null for what this page does not know, which it must ignore. */
export function decode(data: unknown): Heard | null {
  if (typeof data !== "string") return null;
  let raw: unknown;
  try {
    raw = JSON.parse(data);
  } catch {
    return null;
  }
  if (typeof raw !== "object" || raw === null) return null;
  const read = readers[text((raw as Raw)["type"])];
  return read ? read(raw as Raw) : null;
}

const readers: Record<string, (raw: Raw) => Heard | null> = {
  stream_stopped: (raw) => ({ type: "stream_stopped", ...optional("error_message", raw), ...optional("code", raw) }),
  parameters_updated: ({ parameters }) =>
    typeof parameters === "object" && parameters !== null
      ? { type: "parameters_updated", parameters: parameters as Record<string, Json> }
      : null,
  applied: ({ seq, keys, frame }) =>
    typeof seq === "number" ? { type: "applied", seq, keys: texts(keys), frame: number(frame) ?? 0 } : null,
  warning: (raw) => ({
    type: "warning",
    message: text(raw["message"]) || text(raw["warning"]) || "The server reported a problem without saying which.",
    ...optional("code", raw),
    keys: typeof raw["key"] === "string" ? [raw["key"]] : texts(raw["keys"]),
  }),
  recovered: (raw) => ({ type: "recovered", message: text(raw["message"]) || "The picture is running again.", ...optional("code", raw) }),
  transition: (raw) => ({ type: "transition", state: text(raw["state"]) || text(raw["status"]), progress: number(raw["progress"]) }),
  prompt_read: ({ prompts }) => ({ type: "prompt_read", prompts: (Array.isArray(prompts) ? prompts : []).map(reading) }),
  metrics: (raw) => ({ type: "metrics", figures: figures(raw) }),
};

function figures(raw: Raw): Record<string, number> {
  const inner = typeof raw["metrics"] === "object" && raw["metrics"] !== null ? (raw["metrics"] as Raw) : raw;
  return Object.fromEntries(Object.entries(inner).filter((pair): pair is [string, number] => number(pair[1]) !== null));
}

function reading(value: unknown): Reading {
  const raw = typeof value === "object" && value !== null ? (value as Raw) : {};
  const found = Array.isArray(raw["understood"]) ? (raw["understood"] as Raw[]) : [];
  return { text: text(raw["text"]), understood: found.map((part) => text(part["text"])), unknown: texts(raw["unknown"]) };
}

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const texts = (value: unknown): string[] => (Array.isArray(value) ? value.filter((item) => typeof item === "string") : []);
const number = (value: unknown): number | null => (typeof value === "number" && Number.isFinite(value) ? value : null);

function optional<K extends string>(key: K, raw: Raw): { [key in K]?: string } {
  const value = raw[key];
  return typeof value === "string" && value ? ({ [key]: value } as { [key in K]?: string }) : {};
}
