import { expect, it } from "vitest";
import { digest, type Report } from "./stats";

const report = (more: Record<string, unknown>): Report => [
  ["v", { type: "inbound-rtp", kind: "video", codecId: "c", frameWidth: 576, frameHeight: 320, framesDropped: 2, ...more }],
  ["c", { type: "codec", mimeType: "video/H264" }],
  ["p", { type: "candidate-pair", nominated: true, state: "succeeded", currentRoundTripTime: 0.004 }],
];

it("turns two reports into rates and means", () => {
  const first = digest(report({ timestamp: 1000, framesDecoded: 10, bytesReceived: 0 }), null);
  const second = digest(
    report({ timestamp: 2000, framesDecoded: 40, bytesReceived: 250_000, totalDecodeTime: 0.06, jitterBufferDelay: 0.3, jitterBufferEmittedCount: 30 }),
    first?.totals ?? null,
  );
  expect(second?.stats).toEqual({
    fps: 30, dropped: 2, freezes: 0, width: 576, height: 320, kbit_s: 2000, codec: "H264", rtt_ms: 4, buffer_ms: 10, decode_ms: 2,
  });
});

it("says nothing before there is video", () => {
  expect(digest([], null)).toBeNull();
});
