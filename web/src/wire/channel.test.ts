import { expect, it } from "vitest";
import { decode } from "./channel";

it("reads the messages it knows", () => {
  expect(decode('{"type":"applied","seq":3,"keys":["a"],"frame":9}')).toEqual({ type: "applied", seq: 3, keys: ["a"], frame: 9 });
  expect(decode('{"type":"warning","message":"m","code":"no_input"}')).toEqual({ type: "warning", message: "m", code: "no_input", keys: [] });
  expect(decode('{"type":"parameters_updated","parameters":{"x":1}}')).toEqual({ type: "parameters_updated", parameters: { x: 1 } });
  expect(decode('{"type":"stream_stopped"}')).toEqual({ type: "stream_stopped" });
  expect(decode('{"type":"prompt_read","prompts":[{"text":"blue sea","understood":[{"text":"sea","kind":"scene"}],"unknown":["x"]},3]}')).toEqual({
    type: "prompt_read",
    prompts: [
      { text: "blue sea", understood: ["sea"], unknown: ["x"] },
      { text: "", understood: [], unknown: [] },
    ],
  });
  expect(decode('{"type":"metrics","fps_out":30,"name":"n"}')).toEqual({ type: "metrics", figures: { fps_out: 30 } });
});

it("ignores what it does not know and what is broken", () => {
  for (const data of ["", "{", "[]", "null", "7", '{"type":"tempo_update"}', '{"type":"applied"}', new ArrayBuffer(3)]) {
    expect(decode(data)).toBeNull();
  }
});
