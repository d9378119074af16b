import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Api, Status } from "./api";
import { preferred, type Call, type Peer } from "./peer";
import { pollAfterMs } from "./load";
import type { Parts, Phase } from "./phase";
import { backoffMs, Connection } from "./rtc";
import { Trouble } from "./trouble";

const loaded: Status = { status: "loaded", pipeline_id: "p", load_params: null, error: null, loading_stage: null };

class Bench {
  phases: string[] = [];
  calls: Call[] = [];
  ends: ((why: Trouble) => void)[] = [];
  statuses: Status[] = [];
  born = 1;
  healthy = true;
  connects = true;
  load = vi.fn(() => Promise.resolve());
  pulse: (() => void)[] = [];
  connection: Connection;

  constructor() {
    const api = {
      health: () => (this.healthy ? Promise.resolve({ status: "healthy", server_start_time: this.born, version: "" }) : Promise.reject(new Trouble("server_gone"))),
      status: () => Promise.resolve(this.statuses.shift() ?? loaded),
      load: this.load,
    } as unknown as Api;
    const parts: Parts = {
      api,
      connect: (call) => this.connect(call),
      makePeer: () => ({}) as RTCPeerConnection,
      codecs: () => [],
      wait: (ms, signal) => (ms === 1100 ? this.beat(signal) : new Promise((resolve) => setTimeout(resolve))),
      clientId: "me",
      wanted: () => ({ stages: [{ node_id: "p", pipeline_id: "p", load_params: {} }], parameters: { input_mode: "video" }, track: null }),
      onPhase: (phase: Phase) => this.phases.push(phase.at === "reconnecting" || phase.at === "failed" ? `${phase.at}:${phase.trouble.code}` : phase.at),
      onLoad: () => undefined,
      onHeard: () => undefined,
      onPeer: () => undefined,
    };
    this.connection = new Connection(parts);
  }
  private beat(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      this.pulse.push(resolve);
      signal.addEventListener("abort", () => { reject(signal.reason as Error); });
    });
  }
  private connect(call: Call): Promise<Peer> {
    this.calls.push(call);
    if (!this.connects) return Promise.reject(new Trouble("no_route"));
    const ended = new Promise<Trouble>((resolve) => this.ends.push(resolve));
    return Promise.resolve({ session: "s", ended, close: vi.fn(), say: () => true } as unknown as Peer);
  }
  until = (phase: string, times = 1) => vi.waitFor(() => { expect(this.phases.filter((name) => name === phase)).toHaveLength(times); });
}

describe("Connection", () => {
  let bench: Bench;
  beforeEach(() => { bench = new Bench(); });

  it("loads, connects, is live, and stops", async () => {
    bench.statuses = [{ ...loaded, status: "loading", loading_stage: "Warming up" }];
    void bench.connection.start("controller");
    await bench.until("live");
    expect(bench.phases).toEqual(["loading", "loading", "connecting", "live"]);
    expect(bench.calls[0]?.offer).toMatchObject({ client_id: "me", initialParameters: { input_mode: "video" } });
    bench.connection.stop();
    expect(bench.phases.at(-1)).toBe("idle");
  });

  it("reconnects after a drop without loading again", async () => {
    void bench.connection.start("controller");
    await bench.until("live");
    bench.ends[0]?.(new Trouble("dropped"));
    await bench.until("live", 2);
    expect(bench.phases).toContain("reconnecting:dropped");
    expect(bench.load).toHaveBeenCalledTimes(1);
  });

  it("notices a restarted server by its start time and loads again", async () => {
    void bench.connection.start("controller");
    await bench.until("live");
    bench.born = 2;
    bench.pulse[0]?.();
    await bench.until("live", 2);
    expect(bench.phases).toContain("reconnecting:restarted");
    expect(bench.statuses).toEqual([]);
    bench.connection.stop();
  });

  it("loads again when the server it comes back to has nothing loaded", async () => {
    void bench.connection.start("controller");
    await bench.until("live");
    bench.statuses = [{ ...loaded, status: "not_loaded" }];
    bench.ends[0]?.(new Trouble("dropped"));
    await bench.until("live", 2);
    expect(bench.load).toHaveBeenCalledTimes(2);
  });

  it("keeps trying while the server is away, and fails with words when only the video cannot get through", async () => {
    bench.healthy = false;
    void bench.connection.start("controller");
    await vi.waitFor(() => { expect(bench.phases.filter((name) => name === "reconnecting:server_gone").length).toBeGreaterThan(5); });
    bench.connects = false;
    bench.healthy = true;
    await bench.until("failed:no_route");
  });

  it("ends with the server's sentence on a load error, and on stream_stopped", async () => {
    bench.statuses = [{ ...loaded, status: "error", error: "out of memory" }];
    void bench.connection.start("controller");
    await bench.until("failed:load_failed");
    void bench.connection.start("controller");
    await bench.until("live");
    bench.calls[0]?.hear({ type: "stream_stopped", error_message: "taken over" });
    await bench.until("failed:stopped");
  });

  it("reloads under the running session", async () => {
    void bench.connection.start("controller");
    await bench.until("live");
    await bench.connection.reload();
    expect(bench.phases).toEqual(["loading", "connecting", "live", "loading", "live"]);
    expect(bench.calls).toHaveLength(1);
    bench.statuses = [{ ...loaded, status: "error", error: "too big" }];
    await bench.connection.reload();
    expect(bench.phases.at(-1)).toBe("failed:load_failed");
  });

  it("a viewer neither loads nor sends parameters", async () => {
    void bench.connection.start("viewer");
    await bench.until("live");
    expect(bench.load).not.toHaveBeenCalled();
    expect(bench.calls[0]?.offer).toEqual({ client_id: "me", role: "viewer", initialParameters: {} });
  });
});

it("backs off and polls sensibly", () => {
  expect([1, 2, 3, 9].map(backoffMs)).toEqual([250, 500, 1000, 4000]);
  expect([0, 5000, 60_000].map(pollAfterMs)).toEqual([150, 500, 1500]);
});

it("prefers H.264, then VP8, and drops the rest", () => {
  const codec = (mimeType: string, sdpFmtpLine = ""): RTCRtpCodec => ({ mimeType, sdpFmtpLine, clockRate: 90000 });
  const names = preferred([codec("video/VP9"), codec("video/VP8"), codec("video/rtx"), codec("video/H264", "packetization-mode=1;profile-level-id=42e01f")]);
  expect(names.map((each) => each.mimeType)).toEqual(["video/H264", "video/VP8", "video/rtx"]);
});
