/** What the server's messages change here. */

import type { StoreApi } from "zustand/vanilla";
import type { Heard } from "../wire/channel";
import type { Notices } from "./notices";
import type { Params } from "./params";
import type { Session } from "./session";
import type { Turns } from "./turns";

interface Parts {
  turns: Turns;
  params: Params;
  session: StoreApi<Session>;
  notices: Notices;
}

export function createHearing({ turns, params, session, notices }: Parts): (heard: Heard) => void {
  return (heard) => {
    switch (heard.type) {
      case "applied": {
        const receipt = turns.applied(heard.seq);
        if (!receipt) return;
        params.confirm(receipt.change);
        session.setState({ control_ms: receipt.took_ms });
        return;
      }
      case "parameters_updated": {
        const { paused, ...rest } = heard.parameters;
        if (typeof paused === "boolean") session.setState({ paused });
        params.hear(rest);
        return;
      }
      case "warning":
        if (heard.code === "no_input") session.setState({ noInput: heard.message });
        else notices.say(heard.message, "warning");
        params.refused(heard.keys);
        return;
      case "recovered":
        session.setState({ noInput: null });
        notices.say(heard.message);
        return;
      case "transition":
        if (heard.state === "finished") notices.say("The new prompt has arrived.");
        return;
      case "metrics":
        session.setState({ figures: heard.figures });
        return;
      case "stream_stopped": // the connection itself deals with it
    }
  };
}
