/** The picture that goes in: the track sent to the server, and what went wrong when there is none. */

import { createStore } from "zustand/vanilla";

export interface Source {
  stream: MediaStream | null;
  label: string;
  error: { what: string; todo: string } | null;
  cameras: { id: string; label: string }[];
  camera: string | null; // device id
  file: File | null;
}

export const createSource = () =>
  createStore<Source>(() => ({ stream: null, label: "", error: null, cameras: [], camera: null, file: null }));

/** When each numbered frame of the test pattern was drawn, to know it again when it comes back. */
export function createMarks(now: () => number) {
  const drawn = new Map<number, number>();
  return {
    draw: (number: number): void => {
      drawn.set(number, now());
      if (drawn.size > 300) for (const old of [...drawn.keys()].slice(0, 150)) drawn.delete(old);
    },
    age: (number: number): number | null => {
      const at = drawn.get(number);
      return at === undefined ? null : now() - at;
    },
  };
}
