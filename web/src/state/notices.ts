/** Quiet notes at the edge of the stage; each goes away by itself. */

import { createStore } from "zustand/vanilla";

export interface Notice {
  id: number;
  tone: "info" | "warning";
  text: string;
  times: number; // said this often
}

const MOST = 4;

export type Notices = ReturnType<typeof createNotices>;

export function createNotices(later: (run: () => void, ms: number) => void) {
  const store = createStore<{ list: Notice[] }>(() => ({ list: [] }));
  let id = 0;
  const dismiss = (gone: number): void => {
    store.setState(({ list }) => ({ list: list.filter((notice) => notice.id !== gone) }));
  };
  const say = (text: string, tone: Notice["tone"] = "info"): void => {
    const same = store.getState().list.find((notice) => notice.text === text && notice.tone === tone);
    const notice: Notice = { id: ++id, tone, text, times: (same?.times ?? 0) + 1 };
    store.setState(({ list }) => ({ list: [...list.filter((old) => old !== same), notice].slice(-MOST) }));
    later(() => {
      dismiss(notice.id);
    }, tone === "warning" ? 9_000 : 4_000);
  };
  return { store, say, dismiss };
}
