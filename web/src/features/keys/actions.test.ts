import { expect, it, vi } from "vitest";

const toggle = vi.fn();
vi.mock("../../state/scope", () => ({ player: { toggle, pause: vi.fn(), reset: vi.fn(), view: { setState: vi.fn() } } }));
const { actionFor, actionsOf } = await import("./actions");

const press = (key: string, more: Partial<KeyboardEvent> = {}) => ({ key, ctrlKey: false, metaKey: false, altKey: false, repeat: false, ...more });
const inside = (selector: string): Element => ({ closest: (asked: string) => (asked.includes(selector) ? {} : null) }) as unknown as Element;

it("finds the action, and leaves keys to those who type", () => {
  const actions = actionsOf(vi.fn());
  actionFor(actions, press(" "), null)?.run();
  expect(toggle).toHaveBeenCalledOnce();
  expect(actionFor(actions, press("F"), null)?.shown).toBe("F");
  expect(actionFor(actions, press("f", { ctrlKey: true }), null)).toBeNull();
  expect(actionFor(actions, press("p"), inside("textarea"))).toBeNull();
  expect(actionFor(actions, press(" "), inside("button"))).toBeNull();
  expect(actionFor(actions, press("z"), null)).toBeNull();
});
