/** What the keyboard does: an action is data, used by the keys and by the sheet that lists them. */

import { player } from "../../state/scope";

export interface Action {
  key: string; // as KeyboardEvent.key
  shown: string;
  does: string;
  run: () => void;
}

export function actionsOf(toggleFullscreen: () => void): Action[] {
  const { view } = player;
  return [
    { key: " ", shown: "Space", does: "Play, stop", run: () => { player.toggle(); } },
    { key: "p", shown: "P", does: "Pause: hold the picture", run: player.pause },
    { key: "r", shown: "R", does: "Reset: start a new shot", run: player.reset },
    { key: "f", shown: "F", does: "Full screen", run: toggleFullscreen },
    { key: "s", shown: "S", does: "Figures on the picture", run: () => { view.setState(({ stats }) => ({ stats: !stats })); } },
    { key: "/", shown: "/", does: "Write a prompt", run: () => document.querySelector<HTMLElement>('[data-testid="prompt"]')?.focus() },
    { key: "?", shown: "?", does: "This list", run: () => { view.setState(({ keys }) => ({ keys: !keys })); } },
  ];
}

/** Keys of a slider, for the sheet only. */
export const ON_A_CONTROL: [string, string][] = [
  ["Arrows", "Turn; with Shift finely"],
  ["Page up, down", "Turn by a tenth"],
  ["Home, End", "To the ends"],
  ["Shift + drag", "Fine"],
  ["Double-click", "Back to the default"],
];

/** The action for a key press; null while someone types or a control needs the key itself. */
export function actionFor(actions: Action[], event: Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey" | "repeat">, on: Element | null): Action | null {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return null;
  if (on?.closest("input:not([type=file]), textarea, select, [contenteditable]")) return null;
  if (event.key === " " && on?.closest("button, a")) return null;
  return actions.find(({ key }) => key === event.key.toLowerCase()) ?? null;
}
