/** One second of `getStats`, digested: what a performer wants to know about the picture that arrives. */

export interface Stats {
  fps: number;
  dropped: number; // since the connection began
  freezes: number;
  width: number;
  height: number;
  kbit_s: number;
  codec: string;
  rtt_ms: number | null; // network round trip
  buffer_ms: number | null; // waiting in the jitter buffer, mean of the last second
  decode_ms: number | null;
}

type Row = Record<string, unknown>;
export type Report = Iterable<[string, Row]>;

/** Running totals, to subtract from the next. */
export interface Totals {
  at_ms: number;
  decoded: number;
  bytes: number;
  decode_s: number;
  delay_s: number;
  emitted: number;
}

const number = (row: Row | undefined, key: string): number => (typeof row?.[key] === "number" ? row[key] : 0);

export function digest(report: Report, before: Totals | null): { stats: Stats; totals: Totals } | null {
  const rows = new Map(report);
  const video = find(rows, (row) => row["type"] === "inbound-rtp" && row["kind"] === "video");
  if (!video) return null;
  const totals: Totals = {
    at_ms: number(video, "timestamp"),
    decoded: number(video, "framesDecoded"),
    bytes: number(video, "bytesReceived"),
    decode_s: number(video, "totalDecodeTime"),
    delay_s: number(video, "jitterBufferDelay"),
    emitted: number(video, "jitterBufferEmittedCount"),
  };
  const pair = find(rows, (row) => row["type"] === "candidate-pair" && row["nominated"] === true && row["state"] === "succeeded");
  const codec = rows.get(String(video["codecId"]));
  const seconds = before ? (totals.at_ms - before.at_ms) / 1000 : 0;
  const gained = (key: keyof Totals): number => (before ? totals[key] - before[key] : 0);
  return {
    totals,
    stats: {
      fps: seconds > 0 ? gained("decoded") / seconds : number(video, "framesPerSecond"),
      dropped: number(video, "framesDropped"),
      freezes: number(video, "freezeCount"),
      width: number(video, "frameWidth"),
      height: number(video, "frameHeight"),
      kbit_s: seconds > 0 ? (gained("bytes") * 8) / 1000 / seconds : 0,
      codec: String(codec?.["mimeType"] ?? "").replace("video/", ""),
      rtt_ms: pair && "currentRoundTripTime" in pair ? number(pair, "currentRoundTripTime") * 1000 : null,
      buffer_ms: gained("emitted") > 0 ? (gained("delay_s") / gained("emitted")) * 1000 : null,
      decode_ms: gained("decoded") > 0 ? (gained("decode_s") / gained("decoded")) * 1000 : null,
    },
  };
}

function find(rows: Map<string, Row>, is: (row: Row) => boolean): Row | undefined {
  for (const row of rows.values()) if (is(row)) return row;
  return undefined;
}
