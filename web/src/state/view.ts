/** What is open on the page. */

import { createStore } from "zustand/vanilla";

export interface View {
  stats: boolean;
  keys: boolean;
}

export const createView = () => createStore<View>(() => ({ stats: false, keys: false }));
