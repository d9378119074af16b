import { expect, it } from "vitest";
import { type Entry, fieldsOf, fieldsOfChain } from "./schema";

export const wan: Entry = {
  id: "wan",
  name: "Wan",
  description: "",
  supported_modes: ["text", "video"],
  default_mode: "text",
  supports_prompts: true,
  usage: [],
  min_dimension: 16,
  mode_defaults: { video: { height: 512 } },
  config_schema: {
    $defs: { Vae: { type: "string", enum: ["wan", "tae"], title: "Vae" } },
    properties: {
      hidden: { type: "integer", default: 1 },
      prompts: { type: "array", default: [], ui: { category: "input" } },
      noise_scale: { type: "number", default: 0.7, minimum: 0, maximum: 1, ui: { order: 7, modes: ["video"] } },
      height: { type: "integer", default: 320, minimum: 1, title: "Height", ui: { order: 4, component: "resolution", is_load_param: true } },
      vae: { $ref: "#/$defs/Vae", default: "wan", ui: { order: 3, label: "VAE", is_load_param: true } },
      seed: { type: "integer", default: 42, minimum: 0, ui: { order: 5, is_load_param: true, live: true } },
      bias: { anyOf: [{ type: "number", minimum: 0, maximum: 1 }, { type: "null" }], default: null, ui: {} },
    },
  },
};

it("resolves references, unions, mode defaults, order and visibility", () => {
  const video = fieldsOf(wan, "video");
  expect(video.map((field) => field.name)).toEqual(["vae", "height", "seed", "noise_scale", "bias"]);
  expect(video[0]).toMatchObject({ label: "VAE", choices: ["wan", "tae"], load: true, preset: "wan" });
  expect(video[1]).toMatchObject({ label: "Height", preset: 512 });
  expect(video[2]).toMatchObject({ name: "seed", load: false, preset: 42 });
  expect(video[4]).toMatchObject({ label: "Bias", type: "number", minimum: 0, maximum: 1, nullable: true, load: false });
  expect(fieldsOf(wan, "text").map((field) => field.name)).toEqual(["vae", "height", "seed", "bias"]);
});

it("merges a chain by name, first stage first", () => {
  const gray: Entry = { ...wan, id: "gray", config_schema: { properties: { height: { type: "integer", default: 1, ui: {} } } } };
  expect(fieldsOfChain([wan, gray], "text").find((field) => field.name === "height")?.preset).toBe(320);
  expect(fieldsOfChain([{ ...wan, config_schema: {} }], "text")).toEqual([]);
});
