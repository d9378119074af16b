/** The instrument without its face: stores, the connection, and what the buttons do. */

import type { Api, Metrics } from "../wire/api";
import type { Wait } from "../wire/load";
import { connect, type Call } from "../wire/peer";
import type { Role } from "../wire/phase";
import { Connection } from "../wire/rtc";
import { readCatalog } from "./catalog";
import { createHearing } from "./hear";
import { createNotices } from "./notices";
import { createParams } from "./params";
import { createPatch, lacksInput, modeOf, parametersOf, stagesOf } from "./patch";
import { createSession, live, running } from "./session";
import { createMarks, createSource } from "./source";
import { createTurns } from "./turns";
import { createView } from "./view";
import { watchStats } from "./watch";

export interface Outside {
  api: Api;
  connect?: typeof connect;
  makePeer: Call["makePeer"];
  codecs: Call["codecs"];
  wait: Wait;
  clientId: string;
  schedule: (run: () => void) => void;
  later: (run: () => void, ms: number) => void;
  now: () => number;
}

export type Player = ReturnType<typeof createPlayer>;
type Core = ReturnType<typeof createCore>;

export function createPlayer(outside: Outside) {
  const core = createCore(outside);
  const { api, patch, session, params, source, view, notices, marks } = core;
  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      outside.later(resolve, ms);
    });
  return {
    ...{ api, patch, session, params, source, view, notices, marks },
    ...transport(core),
    ...playing(core),
    readCatalog: () => readCatalog({ api, patch, session, pause }),
    lookAround: () => lookAround(core),
  };
}

/** The stores and the connection, tied to each other. */
function createCore(outside: Outside) {
  const { api, now } = outside;
  const turns = createTurns({ send: (said) => connection.say(said), schedule: outside.schedule, now });
  const params = createParams(turns, now);
  const patch = createPatch();
  const session = createSession();
  const source = createSource();
  const view = createView();
  const notices = createNotices(outside.later);
  const marks = createMarks(now);
  const stats = watchStats(session);

  const stages = () => stagesOf(patch.getState(), params.store.getState().values);
  const connection = new Connection({
    ...outside,
    connect: outside.connect ?? connect,
    wanted: () => {
      turns.forget();
      const { loaded, paused } = session.getState();
      const parameters = parametersOf(patch.getState(), params.store.getState().values, paused);
      const running = loaded && { pipeline_ids: loaded.map((stage) => stage.pipeline_id) }; // what waits for a reload is not there yet
      return { stages: stages(), parameters: { ...parameters, ...running }, track: track() };
    },
    onLoad: (loaded) => {
      session.setState({ loaded });
    },
    onPhase: (phase) => {
      session.setState({ phase });
      if (phase.at === "live") turns.flush();
    },
    onHeard: createHearing({ turns, params, session, notices }),
    onPeer: (peer) => {
      session.setState(peer ? { stream: peer.stream, id: peer.session } : { id: null });
      stats(peer);
    },
  });

  function track(): MediaStreamTrack | null {
    return source.getState().stream?.getVideoTracks()[0] ?? null;
  }

  return { api, connection, turns, params, patch, session, source, view, notices, marks, stages, track };
}

/** Who else plays, and what the server measures of our own session. */
async function lookAround({ api, session }: Core): Promise<void> {
  const { sessions, worker }: Metrics = await api.metrics().catch(() => ({ sessions: {} }));
  const { id } = session.getState();
  const others = Object.entries(sessions).filter(([key, { role }]) => key !== id && role !== "viewer").length;
  const figures = Object.entries({ ...worker, ...(id && sessions[id]) });
  session.setState({ others, figures: Object.fromEntries(figures.filter((pair): pair is [string, number] => typeof pair[1] === "number")) });
}

/** Play, watch, stop. */
function transport({ connection, turns, params, patch, session, notices, stages }: Core) {
  const start = (role: Role): void => {
    session.setState({ role, noInput: null, control_ms: null, picture_ms: null, figures: {}, readings: [] });
    void connection.start(role);
  };
  const play = (): void => {
    if (lacksInput(patch.getState())) notices.say("This pipeline works on a picture: choose a source.", "warning");
    start("controller");
  };
  const stop = (): void => {
    connection.stop();
    session.setState({ paused: false, noInput: null, stream: null, loaded: null });
  };
  return {
    play,
    stop,
    /** Load what was changed, and bring today's values to it. */
    apply: async (): Promise<void> => {
      await connection.reload();
      const { pipeline_ids, ...values } = parametersOf(patch.getState(), params.store.getState().values, session.getState().paused);
      if (live(session.getState()) && pipeline_ids) turns.turn(values);
    },
    watch: (): void => {
      start("viewer");
    },
    toggle: (): void => {
      if (running(session.getState())) stop();
      else play();
    },
    /** Settings wait for a reload. */
    stale: (): boolean => {
      const { loaded, role } = session.getState();
      if (!running(session.getState()) || role === "viewer" || !loaded) return false;
      return JSON.stringify(loaded) !== JSON.stringify(stages());
    },
  };
}

/** What is done while it plays. */
function playing({ connection, turns, params, patch, session, track }: Core) {
  const isLive = (): boolean => live(session.getState()) && session.getState().role === "controller";
  return {
    pause: (): void => {
      if (!isLive()) return;
      const paused = !session.getState().paused;
      session.setState({ paused });
      turns.turn({ paused });
    },
    reset: (): void => {
      if (isLive()) params.cue("reset_cache");
    },
    prompt: (text: string, steps: number): void => {
      patch.setState({ prompt: text });
      const prompts = [{ text, weight: 1 }];
      if (isLive()) turns.turn(steps > 0 ? { transition: { target_prompts: prompts, num_steps: steps } } : { prompts });
    },
    /** The source changed: switch it under the running session. */
    feed: async (): Promise<void> => {
      session.setState({ noInput: null });
      if (session.getState().role === "viewer") return;
      await connection.show(track()).catch(() => undefined);
      if (isLive()) turns.turn({ input_mode: modeOf(patch.getState()) });
    },
  };
}
