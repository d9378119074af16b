/** What every control stands at: turned here at once, confirmed by the server, moved by others. */

import { createStore } from "zustand/vanilla";
import type { Change, Field, Json } from "../wire/schema";
import type { Turns } from "./turns";

export type Owner = "hand" | "server"; // who moved it last

export interface ParamState {
  values: Change; // only what has been moved; the rest stands at its preset
  owners: Record<string, Owner>;
}

const HELD_MS = 400; // an echo does not pull a knob out of the hand that turns it

export type Params = ReturnType<typeof createParams>;

export function createParams(turns: Turns, now: () => number) {
  const store = createStore<ParamState>(() => ({ values: {}, owners: {} }));
  const touched = new Map<string, number>();
  const confirmed: Change = {};

  const put = (change: Change, owner: Owner): void => {
    const owners = Object.fromEntries(Object.keys(change).map((name) => [name, owner]));
    store.setState(({ values, owners: before }) => ({ values: { ...values, ...change }, owners: { ...before, ...owners } }));
  };
  const mine = (change: Change): void => {
    for (const name of Object.keys(change)) touched.set(name, now());
    put(change, "hand");
  };

  return {
    store,
    /** A live parameter: seen here now, sent with the next animation frame. */
    turn: (change: Change): void => {
      mine(change);
      turns.turn(change);
    },
    /** A load parameter: only noted until the next load. */
    note: mine,
    /** Happens once; leaves no value behind. */
    cue: (name: string, value: Json = true): void => {
      turns.turn({ [name]: value });
    },
    /** Someone else moved these. */
    hear: (change: Change): void => {
      Object.assign(confirmed, change);
      const free = Object.entries(change).filter(([name]) => now() - (touched.get(name) ?? -HELD_MS) >= HELD_MS);
      if (free.length) put(Object.fromEntries(free), "server");
    },
    /** The server took them. */
    confirm: (change: Change): void => {
      Object.assign(confirmed, change);
    },
    /** The server refused them: back to what it has. */
    refused: (names: string[]): void => {
      for (const name of names) {
        if (name in confirmed) put({ [name]: confirmed[name] ?? null }, "server");
        else forget(name);
      }
    },
  };

  function forget(name: string): void {
    store.setState(({ values, owners }) => ({ values: without(values, name), owners: without(owners, name) }));
  }
}

export function valueOf(values: Change, field: Field): Json {
  return values[field.name] ?? field.preset;
}

function without<T>(record: Record<string, T>, name: string): Record<string, T> {
  return Object.fromEntries(Object.entries(record).filter(([key]) => key !== name));
}
