import { expect, it, vi } from "vitest";
import type { Api } from "../wire/api";
import type { Call, Peer } from "../wire/peer";
import type { Entry } from "../wire/schema";
import type { Trouble } from "../wire/trouble";
import { createPlayer } from "./player";
import { sentence } from "./session";

const entry = (id: string, more: Partial<Entry>): Entry => ({
  id, name: id, description: "", supported_modes: ["video"], default_mode: "video", supports_prompts: false, usage: [], min_dimension: 1,
  config_schema: { properties: { brightness: { type: "number", default: 0, minimum: -1, maximum: 1, ui: { lane: "fast" } } } },
  ...more,
});
const size = { type: "integer", default: 512, ui: { is_load_param: true, component: "resolution" } };
const entries = {
  big: entry("big", { available: false, unavailable_reason: "needs a GPU" }),
  pass: entry("pass", {}),
  dream: entry("dream", { supported_modes: ["text", "video"], supports_prompts: true, config_schema: { properties: { width: size } } }),
  gray: entry("gray", { usage: ["preprocessor"] }),
};

function bench() {
  const said: object[] = [];
  const calls: Call[] = [];
  const load = vi.fn(() => Promise.resolve());
  const api = {
    schemas: () => Promise.resolve(entries),
    status: () => Promise.resolve({ status: "loaded", pipeline_id: null, loading_stage: null, error: null, load_params: null }),
    health: () => Promise.resolve({ server_start_time: 1 }),
    metrics: () => Promise.resolve({ sessions: { other: { role: "controller" }, watcher: { role: "viewer" }, me: { role: "controller", fps_in: 30 } } }),
    load,
  } as unknown as Api;
  const player = createPlayer({
    api,
    connect: (call) => {
      calls.push(call);
      const peer = { session: "me", stream: {}, ended: new Promise<Trouble>(() => undefined), close: () => undefined, show: () => Promise.resolve(), say: (message: object) => said.push(message) > 0 };
      return Promise.resolve(peer as unknown as Peer);
    },
    makePeer: () => ({}) as RTCPeerConnection,
    codecs: () => [],
    wait: (ms) => new Promise((resolve) => { if (ms < 1000) resolve(); }),
    clientId: "c",
    schedule: (run) => { run(); },
    later: () => undefined,
    now: () => 0,
  });
  const live = () => vi.waitFor(() => { expect(player.session.getState().phase.at).toBe("live"); });
  return { player, said, calls, load, live };
}

it("chooses the first pipeline that works here", async () => {
  const { player } = bench();
  await player.readCatalog();
  expect(player.patch.getState().main).toBe("pass");
  expect(sentence(player.session.getState()).what).toBe("Ready");
});

it("plays the chain with its load parameters, and the offer carries every live value", async () => {
  const { player, calls, load, live } = bench();
  await player.readCatalog();
  player.patch.setState({ main: "dream", before: ["gray"], prompt: "a river" });
  player.params.turn({ brightness: 0.5 });
  player.params.note({ width: 256 });
  player.play();
  await live();
  expect(load).toHaveBeenCalledWith([
    { node_id: "gray", pipeline_id: "gray", load_params: {} },
    { node_id: "dream", pipeline_id: "dream", load_params: { width: 256 } },
  ]);
  expect(calls[0]?.offer).toEqual({
    client_id: "c",
    initialParameters: { brightness: 0.5, input_mode: "text", pipeline_ids: ["gray", "dream"], prompts: [{ text: "a river", weight: 1 }] },
  });
  player.stop();
});

it("turns, pauses, prompts and resets on the channel", async () => {
  const { player, said, live } = bench();
  await player.readCatalog();
  player.play();
  await live();
  player.params.turn({ brightness: 1 });
  player.pause();
  player.prompt("x", 8);
  player.prompt("y", 0);
  player.reset();
  expect(said).toEqual([
    { brightness: 1, _ack: 1 },
    { paused: true, _ack: 2 },
    { transition: { target_prompts: [{ text: "x", weight: 1 }], num_steps: 8 }, _ack: 3 },
    { prompts: [{ text: "y", weight: 1 }], _ack: 4 },
    { reset_cache: true, _ack: 5 },
  ]);
  player.stop();
});

it("offers a reload for what only a load brings, and brings it", async () => {
  const { player, load, live } = bench();
  await player.readCatalog();
  player.play();
  await live();
  expect(player.stale()).toBe(false);
  player.patch.setState({ main: "dream" });
  expect(player.stale()).toBe(true);
  await player.apply();
  expect(load).toHaveBeenCalledTimes(2);
  expect(player.stale()).toBe(false);
  player.stop();
});

it("shows what the server says", async () => {
  const { player, calls, live } = bench();
  await player.readCatalog();
  player.play();
  await live();
  const hear = calls[0]!.hear;
  hear({ type: "warning", code: "no_input", message: "nothing comes", keys: [] });
  expect(player.session.getState().noInput).toBe("nothing comes");
  hear({ type: "recovered", code: "no_input", message: "" });
  expect(player.session.getState().noInput).toBeNull();
  hear({ type: "warning", message: "careful", keys: [] });
  hear({ type: "warning", message: "careful", keys: [] });
  expect(player.notices.store.getState().list.at(-1)).toMatchObject({ text: "careful", times: 2, tone: "warning" });
  hear({ type: "parameters_updated", parameters: { paused: true, brightness: -1 } });
  expect(player.session.getState().paused).toBe(true);
  expect(player.params.store.getState().values).toEqual({ brightness: -1 });
  await player.lookAround();
  expect(player.session.getState()).toMatchObject({ others: 1, figures: { fps_in: 30 } });
  player.stop();
});
