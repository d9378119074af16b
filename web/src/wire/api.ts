/** The server's HTTP calls that the page makes. Every failure is a Trouble. */

import type { Change, Entry } from "./schema";
import { Trouble, type TroubleCode } from "./trouble";

export interface Health {
  status: string;
  server_start_time: number;
  version: string;
}

export interface Status {
  status: "not_loaded" | "loading" | "loaded" | "error";
  pipeline_id: string | null;
  load_params: Change | null;
  error: string | null;
  loading_stage: string | null;
}

export interface Stage {
  node_id: string;
  pipeline_id: string;
  load_params: Change;
}

export interface Offer {
  sdp: string;
  type: "offer";
  initialParameters: Change;
  client_id: string;
  role?: "viewer";
}

export interface Answer {
  sdp: string;
  type: "answer";
  sessionId: string;
}

export interface Metrics {
  sessions: Record<string, { role?: string; [figure: string]: unknown }>;
  worker?: Record<string, unknown>;
}

export interface Asset {
  name: string;
  path: string;
  size_mb: number;
}

type Fetch = (input: string, init?: RequestInit) => Promise<Response>;
const JSON_BODY = { "Content-Type": "application/json" };
const ANSWER_WITHIN_MS = 15_000;

export type Api = ReturnType<typeof createApi>;

export function createApi(fetch: Fetch) {
  async function call(path: string, init: RequestInit = {}): Promise<Response> {
    let reply: Response;
    try {
      reply = await fetch(path, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS), ...init });
    } catch (error) {
      throw error instanceof DOMException && error.name === "AbortError" ? error : new Trouble("server_gone");
    }
    if (reply.ok) return reply;
    const detail = await detailOf(reply);
    const code = meaning(reply.status, path, detail);
    throw new Trouble(code, code === "not_loaded" ? "" : detail);
  }
  const get = async <T>(path: string, signal?: AbortSignal): Promise<T> =>
    (await (await call(path, signal && { signal })).json()) as T;
  const send = (method: string, path: string, body: unknown): Promise<Response> =>
    call(path, { method, headers: JSON_BODY, body: JSON.stringify(body) });

  return {
    health: () => get<Health>(`/health?_t=${Date.now()}`),
    schemas: async () => {
      const { pipelines } = await get<{ pipelines: Record<string, Partial<Entry>> }>("/api/v1/pipelines/schemas");
      return Object.fromEntries(Object.entries(pipelines).map(([id, entry]) => [id, whole(id, entry)]));
    },
    status: (signal?: AbortSignal) => get<Status>("/api/v1/pipeline/status", signal),
    load: async (pipelines: Stage[]) => void (await send("POST", "/api/v1/pipeline/load", { pipelines })),
    metrics: () => get<Metrics>("/api/v1/session/metrics"),
    iceServers: async () => (await get<{ iceServers: RTCIceServer[] }>("/api/v1/webrtc/ice-servers")).iceServers.map(plainServer),
    offer: async (offer: Offer) => (await (await send("POST", "/api/v1/webrtc/offer", offer)).json()) as Answer,
    trickle: async (session: string, candidates: RTCIceCandidateInit[]) =>
      void (await send("PATCH", `/api/v1/webrtc/offer/${session}`, { candidates })),
    /** Also works while the page is being closed. */
    hangUp: async (session: string) => {
      await fetch(`/api/v1/webrtc/offer/${session}`, { method: "DELETE", keepalive: true }).catch(() => undefined);
    },
    upload: async (file: File) =>
      (await (
        await call(`/api/v1/assets?filename=${encodeURIComponent(file.name)}`, {
          method: "POST",
          headers: { "Content-Type": "application/octet-stream" },
          body: file,
          signal: AbortSignal.timeout(30 * 60_000),
        })
      ).json()) as Asset,
  };
}

function meaning(status: number, path: string, detail: string): TroubleCode {
  if (status === 401 || status === 403) return "not_allowed";
  if (status === 409) return "busy";
  if (status === 400 && detail.startsWith("Pipeline not loaded")) return "not_loaded";
  return path.endsWith("/pipeline/load") ? "load_failed" : "refused";
}

/** `{"detail": text}` or `{"detail": [{"msg": text, "loc": [...]}]}`. */
async function detailOf(reply: Response): Promise<string> {
  try {
    const { detail } = (await reply.json()) as { detail?: unknown };
    if (typeof detail === "string") return detail;
    if (Array.isArray(detail)) return detail.map((item: { msg?: string }) => item.msg ?? "").join("; ");
  } catch {
    // not JSON: the status has to do
  }
  return `The server answered ${String(reply.status)}`;
}

/** A broken pipeline has little more than a name. */
function whole(id: string, entry: Partial<Entry>): Entry {
  return {
    id,
    name: id,
    description: "",
    supported_modes: [],
    default_mode: "text",
    supports_prompts: false,
    usage: [],
    min_dimension: 1,
    ...entry,
  };
}

/** RTCPeerConnection does not take null credentials. */
function plainServer({ urls, username, credential }: RTCIceServer): RTCIceServer {
  return { urls, ...(username && { username }), ...(credential && { credential }) };
}
