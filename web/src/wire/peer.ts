/** One attempt at a WebRTC connection: offer, answer, trickle, data channel, and the moment it ends. */

import type { Api, Offer } from "./api";
import { decode, type Heard, type Said } from "./channel";
import { Trouble } from "./trouble";

const CONNECT_WITHIN_MS = 10_000;
const RECOVER_WITHIN_MS = 2_500; // a short loss of the network mends itself

export interface Call {
  api: Api;
  makePeer: (servers: RTCIceServer[]) => RTCPeerConnection;
  codecs: () => RTCRtpCodec[];
  track: MediaStreamTrack | null;
  offer: Omit<Offer, "sdp" | "type">;
  hear: (heard: Heard) => void;
  signal: AbortSignal;
}

export interface Peer {
  session: string;
  stream: MediaStream;
  /** Settles when the connection is over, with the reason. */
  ended: Promise<Trouble>;
  say: (said: Said) => boolean;
  show: (track: MediaStreamTrack | null) => Promise<void>;
  stats: () => Promise<RTCStatsReport>;
  close: () => void;
}

/** H.264 first, then VP8, then what protects them; the rest would only cost time. */
export function preferred(codecs: RTCRtpCodec[]): RTCRtpCodec[] {
  const rank = ({ mimeType, sdpFmtpLine = "" }: RTCRtpCodec): number => {
    const name = mimeType.toLowerCase();
    if (name === "video/h264") return sdpFmtpLine.includes("packetization-mode=1") ? (sdpFmtpLine.includes("42e01f") ? 0 : 1) : 2;
    if (name === "video/vp8") return 3;
    return /\/(rtx|red|ulpfec)$/.test(name) ? 4 : -1;
  };
  return codecs.filter((codec) => rank(codec) >= 0).sort((a, b) => rank(a) - rank(b));
}

/** Resolves once media and data channel are up. Throws Trouble; an aborted signal throws its reason. */
export async function connect(call: Call): Promise<Peer> {
  const { api, signal } = call;
  const pc = call.makePeer(await api.iceServers());
  const channel = pc.createDataChannel("parameters", { ordered: true });
  channel.onmessage = ({ data }: MessageEvent<unknown>) => {
    const heard = decode(data);
    if (heard) call.hear(heard);
  };
  try {
    const sender = addVideo(pc, call.track, call.codecs());
    const arriving = streamOf(pc);
    const session = await negotiate(pc, call);
    const end = watch(pc, channel);
    const close = (): void => {
      end.because(new Trouble("stopped"));
      pc.close();
      void api.hangUp(session);
    };
    try {
      await opened(pc, channel, signal);
    } catch (error) {
      close();
      throw error;
    }
    return {
      session,
      stream: arriving,
      ended: end.promise,
      say: (said) => channel.readyState === "open" && (channel.send(JSON.stringify(said)), true),
      show: (track) => sender.replaceTrack(track),
      stats: () => pc.getStats(),
      close,
    };
  } catch (error) {
    pc.close();
    throw error;
  }
}

function addVideo(pc: RTCPeerConnection, track: MediaStreamTrack | null, codecs: RTCRtpCodec[]): RTCRtpSender {
  const transceiver = pc.addTransceiver(track ?? "video", { direction: "sendrecv" });
  const wanted = preferred(codecs);
  if (wanted.length) transceiver.setCodecPreferences(wanted);
  const receiver: RTCRtpReceiver & { playoutDelayHint?: number; jitterBufferTarget?: number | null } = transceiver.receiver;
  receiver.jitterBufferTarget = 0; // show a frame when it is decoded
  receiver.playoutDelayHint = 0;
  return transceiver.sender;
}

function streamOf(pc: RTCPeerConnection): MediaStream {
  const stream = new MediaStream();
  pc.ontrack = ({ track }) => {
    stream.addTrack(track);
  };
  return stream;
}

async function negotiate(pc: RTCPeerConnection, { api, offer, signal }: Call): Promise<string> {
  let session: string | null = null;
  const waiting: RTCIceCandidateInit[] = [];
  pc.onicecandidate = ({ candidate }) => {
    const { candidate: line = "", sdpMid = null, sdpMLineIndex = null } = candidate?.toJSON() ?? {};
    waiting.push({ candidate: line, sdpMid, sdpMLineIndex });
    flush();
  };
  const flush = (): void => {
    if (session && waiting.length) api.trickle(session, waiting.splice(0)).catch(() => undefined); // ICE finds out by itself
  };
  await pc.setLocalDescription(await pc.createOffer());
  signal.throwIfAborted();
  const answer = await api.offer({ ...offer, type: "offer", sdp: pc.localDescription?.sdp ?? "" });
  session = answer.sessionId;
  if (signal.aborted) void api.hangUp(session);
  signal.throwIfAborted();
  await pc.setRemoteDescription({ type: "answer", sdp: answer.sdp });
  flush();
  return session;
}

function opened(pc: RTCPeerConnection, channel: RTCDataChannel, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      finish(new Trouble("no_route"));
    }, CONNECT_WITHIN_MS);
    const finish = (error?: unknown): void => {
      clearTimeout(timer);
      pc.removeEventListener("connectionstatechange", look);
      channel.removeEventListener("open", look);
      signal.removeEventListener("abort", stopped);
      if (error) reject(error as Error);
      else resolve();
    };
    const look = (): void => {
      if (pc.connectionState === "connected" && channel.readyState === "open") finish();
      else if (pc.connectionState === "failed" || pc.connectionState === "closed") finish(new Trouble("no_route"));
    };
    const stopped = (): void => {
      finish(signal.reason);
    };
    pc.addEventListener("connectionstatechange", look);
    channel.addEventListener("open", look);
    signal.addEventListener("abort", stopped);
    look();
  });
}

function watch(pc: RTCPeerConnection, channel: RTCDataChannel): { promise: Promise<Trouble>; because: (why: Trouble) => void } {
  let because: (why: Trouble) => void = () => undefined;
  const promise = new Promise<Trouble>((resolve) => (because = resolve));
  let timer: ReturnType<typeof setTimeout> | undefined;
  pc.addEventListener("connectionstatechange", () => {
    clearTimeout(timer);
    if (pc.connectionState === "failed" || pc.connectionState === "closed") because(new Trouble("dropped"));
    if (pc.connectionState === "disconnected") timer = setTimeout(because, RECOVER_WITHIN_MS, new Trouble("dropped"));
  });
  channel.addEventListener("close", () => {
    because(new Trouble("dropped"));
  });
  return { promise, because };
}
