/** Getting a chain loaded: ask, then look until it is. */

import type { Api, Stage } from "./api";
import { Trouble } from "./trouble";

export type Wait = (ms: number, signal: AbortSignal) => Promise<void>;
const GIVE_UP_MS = 600_000;

/** Tiny pipelines are there at once; big ones take minutes and need no hurry. */
export function pollAfterMs(elapsed_ms: number): number {
  if (elapsed_ms < 3_000) return 150;
  return elapsed_ms < 30_000 ? 500 : 1_500;
}

/** Loads `stages`; `ask` false: only waits for a load that is already going on. Throws Trouble. */
export async function load(
  { api, wait, signal, tell }: { api: Api; wait: Wait; signal: AbortSignal; tell: (stage: string | null) => void },
  stages: Stage[],
  ask: boolean,
): Promise<void> {
  if (ask) await api.load(stages);
  let elapsed_ms = 0;
  while (elapsed_ms < GIVE_UP_MS) {
    signal.throwIfAborted();
    const status = await api.status(signal);
    if (status.status === "loaded") return;
    if (status.status === "error") throw new Trouble("load_failed", status.error ?? "");
    if (status.status === "not_loaded" && !ask) throw new Trouble("not_loaded");
    tell(status.loading_stage);
    const pause_ms = pollAfterMs(elapsed_ms);
    await wait(pause_ms, signal);
    elapsed_ms += pause_ms;
  }
  throw new Trouble("load_slow");
}

export const wait: Wait = (ms, signal) =>
  new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
