/** What is to be played: the chain of pipelines, where its picture comes from, the prompt. */

import { createStore } from "zustand/vanilla";
import type { Stage } from "../wire/api";
import { type Change, type Entry, fieldsOf, fieldsOfChain, type Field, type Mode } from "../wire/schema";
import { valueOf } from "./params";

export type InputKind = "none" | "pattern" | "camera" | "screen" | "file";

export interface Patch {
  entries: Record<string, Entry>; // the catalogue
  before: string[]; // preprocessors, in order
  main: string | null;
  after: string[]; // postprocessors
  input: InputKind;
  prompt: string;
}

export const createPatch = () =>
  createStore<Patch>(() => ({ entries: {}, before: [], main: null, after: [], input: "none", prompt: "" }));

export type Place = "before" | "main" | "after";

export function fits(entry: Entry, place: Place): boolean {
  if (place === "main") return entry.usage.length === 0;
  return entry.usage.includes(place === "before" ? "preprocessor" : "postprocessor");
}

export function whyNot(entry: Entry): string | null {
  if (entry.schema_error) return entry.schema_error;
  return entry.available === false ? (entry.unavailable_reason ?? "not available on this machine") : null;
}

/** The chain in the order of the picture's way. */
export function chainOf({ entries, before, main, after }: Patch): Entry[] {
  return [...before, ...(main ? [main] : []), ...after].flatMap((id) => entries[id] ?? []);
}

export function mainOf({ entries, main }: Patch): Entry | null {
  return (main && entries[main]) || null;
}

/** Follow the picture when there is one and the pipeline can; dream from text otherwise. */
export function modeOf(patch: Patch): Mode {
  const modes = mainOf(patch)?.supported_modes ?? [];
  const wish: Mode = patch.input === "none" ? "text" : "video";
  return modes.includes(wish) || !modes[0] ? wish : modes[0];
}

/** True when the chain waits for a picture that nobody sends. */
export function lacksInput(patch: Patch): boolean {
  return patch.main !== null && patch.input === "none" && modeOf(patch) === "video";
}

/** All that can be turned; the main pipeline comes first, so that it wins a name. */
export function fieldsOfPatch(patch: Patch): Field[] {
  const main = mainOf(patch);
  const others = chainOf(patch).filter((entry) => entry !== main);
  return fieldsOfChain(main ? [main, ...others] : others, modeOf(patch));
}

export function stagesOf(patch: Patch, values: Change): Stage[] {
  const mode = modeOf(patch);
  const count = new Map<string, number>();
  return chainOf(patch).map((entry) => {
    const number = (count.get(entry.id) ?? 0) + 1;
    count.set(entry.id, number);
    const options = fieldsOf(entry, mode).filter((field) => field.load);
    return {
      node_id: number > 1 ? `${entry.id}-${String(number)}` : entry.id,
      pipeline_id: entry.id,
      load_params: given(options, values),
    };
  });
}

/** What the offer carries, so that the first frame is already right. */
export function parametersOf(patch: Patch, values: Change, paused: boolean): Change {
  const live = fieldsOfPatch(patch).filter((field) => !field.load && !field.cue);
  return {
    ...given(live, values),
    input_mode: modeOf(patch),
    pipeline_ids: chainOf(patch).map((entry) => entry.id),
    ...(mainOf(patch)?.supports_prompts && patch.prompt.trim() && { prompts: [{ text: patch.prompt.trim(), weight: 1 }] }),
    ...(paused && { paused }),
  };
}

function given(fields: Field[], values: Change): Change {
  return Object.fromEntries(fields.map((field) => [field.name, valueOf(values, field)] as const).filter(([, value]) => value !== null));
}
