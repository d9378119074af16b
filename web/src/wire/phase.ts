/** Where a connection can be, and what it needs to get anywhere. */

import type { Api, Stage } from "./api";
import type { Heard } from "./channel";
import type { Wait } from "./load";
import type { Call, Peer } from "./peer";
import type { Change } from "./schema";
import type { Trouble } from "./trouble";

export type Role = "controller" | "viewer";

export type Phase =
  | { at: "idle" }
  | { at: "loading"; stage: string | null }
  | { at: "connecting" }
  | { at: "live" }
  | { at: "reconnecting"; attempt: number; trouble: Trouble }
  | { at: "failed"; trouble: Trouble };

/** What is to be played, asked anew at every attempt so that a reconnect brings today's settings. */
export interface Wanted {
  stages: Stage[];
  parameters: Change;
  track: MediaStreamTrack | null;
}

export interface Parts {
  api: Api;
  connect: (call: Call) => Promise<Peer>;
  makePeer: Call["makePeer"];
  codecs: Call["codecs"];
  wait: Wait;
  clientId: string;
  wanted: () => Wanted;
  onLoad: (stages: Stage[]) => void;
  onPhase: (phase: Phase) => void;
  onHeard: (heard: Heard) => void;
  onPeer: (peer: Peer | null) => void;
}
