import { expect, it } from "vitest";
import type { Said } from "../wire/channel";
import { createTurns } from "./turns";

function bench() {
  const frames: (() => void)[] = [];
  const sent: Said[] = [];
  const line = { open: true, at: 0 };
  const turns = createTurns({
    send: (said) => line.open && sent.push(said) > 0,
    schedule: (run) => frames.push(run),
    now: () => line.at,
  });
  const frame = (): void => { frames.splice(0).forEach((run) => { run(); }); };
  return { turns, sent, line, frame, frames };
}

it("sends one message a frame, with the latest value of each name", () => {
  const { turns, sent, frame, frames } = bench();
  for (let i = 0; i < 1000; i++) turns.turn({ a: i });
  turns.turn({ b: true });
  expect(frames).toHaveLength(1);
  frame();
  turns.turn({ a: 7 });
  frame();
  expect(sent).toEqual([{ a: 999, b: true, _ack: 1 }, { a: 7, _ack: 2 }]);
});

it("keeps what could not be sent, and sends it when the line opens", () => {
  const { turns, sent, line, frame } = bench();
  line.open = false;
  turns.turn({ a: 1 });
  frame();
  turns.turn({ b: 2 });
  line.open = true;
  turns.flush();
  frame();
  expect(sent).toEqual([{ a: 1, b: 2, _ack: 1 }]);
});

it("times the server's receipt, once", () => {
  const { turns, line, frame } = bench();
  turns.turn({ a: 1 });
  frame();
  line.at = 30;
  expect(turns.applied(1)).toEqual({ change: { a: 1 }, took_ms: 30 });
  expect(turns.applied(1)).toBeNull();
});
