/** Looks at the connection's statistics once a second. */

import type { StoreApi } from "zustand/vanilla";
import type { Peer } from "../wire/peer";
import { digest, type Report, type Totals } from "../wire/stats";
import type { Session } from "./session";

export function watchStats(session: StoreApi<Session>): (peer: Peer | null) => void {
  let timer: ReturnType<typeof setInterval> | undefined;
  return (peer) => {
    clearInterval(timer);
    session.setState({ stats: null });
    if (!peer) return;
    let before: Totals | null = null;
    timer = setInterval(() => {
      void peer.stats().then((report) => {
        const seen = digest(report as unknown as Report, before);
        if (!seen) return;
        before = seen.totals;
        session.setState({ stats: seen.stats });
      });
    }, 1_000);
  };
}
