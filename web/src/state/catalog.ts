/** Reads what the server can play, and chooses something that works now. */

import type { StoreApi } from "zustand/vanilla";
import type { Api } from "../wire/api";
import { asTrouble, inWords } from "../wire/trouble";
import { fits, type Patch, whyNot } from "./patch";
import type { Session } from "./session";

interface Parts {
  api: Pick<Api, "schemas" | "status">;
  patch: StoreApi<Patch>;
  session: StoreApi<Session>;
  pause: (ms: number) => Promise<void>;
}

/** Returns when there is a catalogue, however long that takes. */
export async function readCatalog({ api, patch, session, pause }: Parts): Promise<void> {
  for (;;) {
    try {
      const entries = await api.schemas();
      const { pipeline_id } = await api.status();
      session.setState({ catalogError: null });
      patch.setState(({ main }) => {
        const usable = Object.values(entries).filter((entry) => fits(entry, "main") && !whyNot(entry));
        const wishes = [main, pipeline_id, usable[0]?.id];
        return { entries, main: wishes.find((id) => usable.some((entry) => entry.id === id)) ?? null };
      });
      return;
    } catch (error) {
      session.setState({ catalogError: inWords(asTrouble(error)) });
      await pause(2_000);
    }
  }
}
