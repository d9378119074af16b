/** The connection to the picture: idle, loading, connecting, live, reconnecting, failed. */

import type { Said } from "./channel";
import { load } from "./load";
import type { Call, Peer } from "./peer";
import type { Parts, Phase, Role } from "./phase";
import { asTrouble, Trouble } from "./trouble";

const NO_ROUTE_LIMIT = 3;
const HEALTH_EVERY_MS = 1_100;
const GONE_AFTER = 2; // refused health checks in a row

export function backoffMs(attempt: number): number {
  return Math.min(4_000, 250 * 2 ** (attempt - 1));
}

export class Connection {
  phase: Phase = { at: "idle" };
  private stopping: AbortController | null = null;
  private peer: Peer | null = null;
  private stopped: ((why: Trouble) => void) | null = null;
  private born: number | null = null; // server_start_time of the server last spoken to

  constructor(private readonly parts: Parts) {}

  /** Plays until stopped. A second start replaces the first. */
  async start(role: Role): Promise<void> {
    this.stop();
    const stopping = (this.stopping = new AbortController());
    try {
      await this.keepUp(role, stopping.signal);
    } catch (error) {
      if (!stopping.signal.aborted) this.enter({ at: "failed", trouble: asTrouble(error) });
    }
  }

  /** Loads what is wanted now under the running session, which stays up and holds its picture. */
  async reload(): Promise<void> {
    const { peer, stopping } = this;
    if (!peer || !stopping) return this.start("controller");
    try {
      await this.ready(true, stopping.signal);
      if (this.peer === peer) this.enter({ at: "live" });
    } catch (error) {
      if (this.peer !== peer) return;
      this.stop();
      this.enter({ at: "failed", trouble: asTrouble(error) });
    }
  }

  stop(): void {
    this.stopping?.abort();
    this.stopping = null;
    this.dropPeer(this.peer);
    if (this.phase.at !== "idle") this.enter({ at: "idle" });
  }

  say(said: Said): boolean {
    return this.peer?.say(said) ?? false;
  }

  async show(track: MediaStreamTrack | null): Promise<void> {
    await this.peer?.show(track);
  }

  /** Connects again and again; returns only by throwing what trying again cannot mend. */
  private async keepUp(role: Role, signal: AbortSignal): Promise<never> {
    let fresh = true; // a person pressed Play: their chain is loaded, whatever runs now
    let attempt = 0;
    let noRoute = 0;
    for (;;) {
      const { trouble, wasLive } = await this.once(role, fresh, signal);
      if (wasLive) attempt = noRoute = 0;
      fresh &&= !wasLive;
      if (trouble.code === "no_route") noRoute++;
      if (!trouble.passing || noRoute >= NO_ROUTE_LIMIT) throw trouble;
      attempt++;
      this.enter({ at: "reconnecting", attempt, trouble });
      await this.parts.wait(backoffMs(attempt), signal);
    }
  }

  /** One life of the connection, and what ended it. */
  private async once(role: Role, fresh: boolean, signal: AbortSignal): Promise<{ trouble: Trouble; wasLive: boolean }> {
    let peer: Peer | null = null;
    try {
      const restarted = await this.meet();
      if (role === "controller") await this.ready(fresh || restarted, signal);
      this.quietly({ at: "connecting" });
      peer = this.peer = await this.parts.connect(this.call(role, signal));
      this.parts.onPeer(peer);
      this.enter({ at: "live" });
      const watching = new AbortController();
      const end = AbortSignal.any([signal, watching.signal]);
      const trouble = await Promise.race([peer.ended, this.untilGone(end), aborted(end)]);
      watching.abort();
      return { trouble, wasLive: true };
    } catch (error) {
      signal.throwIfAborted();
      return { trouble: asTrouble(error), wasLive: peer !== null };
    } finally {
      this.dropPeer(peer);
    }
  }

  /** True when this is not the server we spoke to before. */
  private async meet(): Promise<boolean> {
    const { server_start_time } = await this.parts.api.health();
    const changed = this.born !== null && this.born !== server_start_time;
    this.born = server_start_time;
    return changed;
  }

  private async ready(ask: boolean, signal: AbortSignal): Promise<void> {
    const { api, wait } = this.parts;
    const { stages } = this.parts.wanted();
    if (!stages.length) throw new Trouble("nothing_chosen");
    const tell = (stage: string | null): void => {
      this.enter({ at: "loading", stage });
    };
    if (ask) tell(null);
    const again = ask || (await api.status(signal)).status === "not_loaded";
    if (again) this.parts.onLoad(stages);
    await load({ api, wait, signal, tell }, stages, again);
  }

  private call(role: Role, signal: AbortSignal): Call {
    const { api, makePeer, codecs, clientId } = this.parts;
    const { parameters, track } = this.parts.wanted();
    const viewer = role === "viewer";
    return {
      api,
      makePeer,
      codecs,
      signal,
      track: viewer ? null : track,
      offer: { initialParameters: viewer ? {} : parameters, client_id: clientId, ...(viewer && { role }) },
      hear: (heard) => {
        if (heard.type === "stream_stopped") this.told(heard.code, heard.error_message);
        this.parts.onHeard(heard);
      },
    };
  }

  /** The server ended the stream. Only its own restart is mended without being asked. */
  private told(code: string | undefined, text: string | undefined): void {
    const restarting = code === "restart" || code === "shutdown" || code === "server_stopping";
    this.stopped?.(restarting ? new Trouble("server_gone") : new Trouble("stopped", text ?? ""));
  }
  /** Notices a server that died or was replaced seconds before ICE does. */
  private async untilGone(signal: AbortSignal): Promise<Trouble> {
    const told = new Promise<Trouble>((resolve) => (this.stopped = resolve));
    return Promise.race([told, this.heartbeat(signal)]);
  }

  private async heartbeat(signal: AbortSignal): Promise<Trouble> {
    for (let missed = 0; missed < GONE_AFTER; ) {
      try {
        await this.parts.wait(HEALTH_EVERY_MS, signal);
        const { server_start_time } = await this.parts.api.health();
        if (server_start_time !== this.born) return new Trouble("restarted");
        missed = 0;
      } catch {
        if (signal.aborted) return new Trouble("stopped");
        missed++;
      }
    }
    return new Trouble("server_gone");
  }

  private enter(phase: Phase): void {
    this.phase = phase;
    this.parts.onPhase(phase);
  }

  /** While reconnecting, the attempt's own steps are not news. */
  private quietly(phase: Phase): void {
    if (this.phase.at !== "reconnecting") this.enter(phase);
  }

  private dropPeer(peer: Peer | null): void {
    if (!peer || peer !== this.peer) return;
    this.peer = null;
    this.parts.onPeer(null);
    peer.close();
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => {
      reject(signal.reason as Error);
    });
  });
}
