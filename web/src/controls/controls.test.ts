import { expect, it, vi } from "vitest";
import { fieldsOf, type Field, type Property } from "../wire/schema";

vi.mock("../state/scope", () => ({ player: {} }));
const { kindOf, rowsOf } = await import("./registry");

function field(property: Property, name = "x"): Field {
  const entry = { config_schema: { properties: { [name]: { ui: {}, ...property } } } };
  return fieldsOf(entry as never, "text")[0]!;
}

const cases: [string, Property, string, unknown, string][] = [
  // kind, property, typed, value, written
  ["number", { type: "number", minimum: 0, maximum: 1 }, "0,25", 0.25, "0.25"],
  ["number", { type: "number", minimum: 0, maximum: 1 }, "7", 1, "1.00"],
  ["number", { type: "integer", minimum: 1, maximum: 32 }, "8.4", 8, "8"],
  ["open-number", { type: "integer", minimum: 0 }, "42", 42, "42"],
  ["open-number", { anyOf: [{ type: "integer" }, { type: "null" }] }, "auto", null, "auto"],
  ["size", { type: "integer", minimum: 16, maximum: 4096, ui: { component: "resolution" } }, "9999", 4096, "4096"],
  ["toggle", { type: "boolean" }, "on", true, "on"],
  ["choice", { enum: ["a", "b"], type: "string" }, "b", "b", "b"],
  ["choice", { anyOf: [{ enum: [1, 2] }, { type: "null" }] }, "2", 2, "2"],
  ["steps", { type: "array", items: { type: "integer" } }, "1000 750,500", [1000, 750, 500], "1000, 750, 500"],
  ["text", { type: "string" }, "hello", "hello", "hello"],
  ["other", { type: "object" }, '{"a":1}', { a: 1 }, '{"a":1}'],
];

it.each(cases)("%s", (name, property, typed, value, written) => {
  const it = field(property);
  const kind = kindOf(it);
  expect(kind.name).toBe(name);
  expect(kind.parse(typed, it)).toEqual(value);
  expect(kind.format(value as never, it)).toBe(written);
});

it("says no to what is no value", () => {
  for (const [property, typed] of [
    [{ type: "number", minimum: 0, maximum: 1 }, "loud"],
    [{ type: "number", minimum: 0, maximum: 1 }, ""],
    [{ type: "array", items: { type: "integer" } }, "a, b"],
    [{ enum: ["a"] }, "z"],
    [{ type: "object" }, "{"],
  ] as [Property, string][]) {
    const it = field(property);
    expect(kindOf(it).parse(typed, it)).toBeUndefined();
  }
});

it("draws a cue as a button and both sides of the picture in one row", () => {
  expect(kindOf(field({ type: "boolean", cue: true })).name).toBe("cue");
  const side: Property = { type: "integer", ui: { component: "resolution" } };
  expect(rowsOf([field(side, "height"), field(side, "width"), field({ type: "boolean" }, "c")]).map((row) => row.length)).toEqual([2, 1]);
});
