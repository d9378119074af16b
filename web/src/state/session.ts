/** How the connection is: what a person must know now, and what they may want to know. */

import { createStore } from "zustand/vanilla";
import type { Stage } from "../wire/api";
import type { Reading } from "../wire/channel";
import type { Phase, Role } from "../wire/phase";
import type { Stats } from "../wire/stats";
import { inWords, type Words } from "../wire/trouble";

export interface Session {
  phase: Phase;
  role: Role;
  id: string | null; // of this page's session
  paused: boolean;
  others: number; // other clients that play on this server; those who watch do not count
  noInput: string | null; // the server's sentence while it waits for a picture
  loaded: Stage[] | null; // what was asked for at the last load
  stream: MediaStream | null;
  stats: Stats | null;
  control_ms: number | null; // a turn sent to the server's word that it took effect
  picture_ms: number | null; // a test pattern frame drawn here to the same frame seen here again
  figures: Record<string, number>; // the server's own
  readings: Reading[]; // what the model made of the prompts in use, where it says so
  catalogError: Words | null;
}

export const createSession = () =>
  createStore<Session>(() => ({
    phase: { at: "idle" },
    role: "controller",
    id: null,
    paused: false,
    others: 0,
    noInput: null,
    loaded: null,
    stream: null,
    stats: null,
    control_ms: null,
    picture_ms: null,
    figures: {},
    readings: [],
    catalogError: null,
  }));

export const running = ({ phase }: Session): boolean => phase.at !== "idle" && phase.at !== "failed";
export const live = ({ phase }: Session): boolean => phase.at === "live";

/** The connection in words. `todo` is empty when there is nothing to do. */
export function sentence({ phase, paused, role, catalogError }: Session): Words {
  switch (phase.at) {
    case "idle":
      return catalogError ?? { what: "Ready", todo: "" };
    case "loading":
      return { what: phase.stage ?? "Loading the pipeline…", todo: "" };
    case "connecting":
      return { what: "Connecting…", todo: "" };
    case "live":
      if (role === "viewer") return { what: "Watching", todo: "" };
      return { what: paused ? "Paused" : "Live", todo: "" };
    case "reconnecting":
    case "failed":
      return inWords(phase.trouble);
  }
}
