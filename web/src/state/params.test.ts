import { expect, it, vi } from "vitest";
import { createParams } from "./params";
import type { Turns } from "./turns";

function bench() {
  const clock = { at: 0 };
  const turn = vi.fn();
  const params = createParams({ turn } as unknown as Turns, () => clock.at);
  return { params, clock, turn, values: () => params.store.getState().values, owners: () => params.store.getState().owners };
}

it("shows a turn at once and sends it; a load parameter is only noted; a cue leaves nothing", () => {
  const { params, turn, values } = bench();
  params.turn({ a: 1 });
  params.note({ width: 512 });
  params.cue("reset_cache");
  expect(values()).toEqual({ a: 1, width: 512 });
  expect(turn.mock.calls).toEqual([[{ a: 1 }], [{ reset_cache: true }]]);
});

it("follows others, but not while a hand turns the same control", () => {
  const { params, clock, values, owners } = bench();
  params.turn({ a: 1 });
  params.hear({ a: 0.2, b: 2 });
  expect(values()).toEqual({ a: 1, b: 2 });
  expect(owners()).toEqual({ a: "hand", b: "server" });
  clock.at = 1000;
  params.hear({ a: 0.2 });
  expect(values()["a"]).toBe(0.2);
});

it("goes back to what the server has when it refuses", () => {
  const { params, values } = bench();
  params.confirm({ a: 1 });
  params.turn({ a: 99, b: 99 });
  params.refused(["a", "b"]);
  expect(values()).toEqual({ a: 1 });
});
