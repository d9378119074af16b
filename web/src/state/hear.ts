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

type Ear<T extends Heard["type"]> = (heard: Extract<Heard, { type: T }>) => void;

export function createHearing({ turns, params, session, notices }: Parts): (heard: Heard) => void {
  const ears: { [T in Heard["type"]]: Ear<T> } = {
    applied: ({ seq, keys }) => {
      const receipt = turns.applied(seq);
      if (!receipt) return;
      params.confirm(Object.fromEntries(Object.entries(receipt.change).filter(([name]) => keys.includes(name))));
      session.setState({ control_ms: receipt.took_ms });
    },
    parameters_updated: ({ parameters: { paused, ...rest } }) => {
      if (typeof paused === "boolean") session.setState({ paused });
      params.hear(rest);
    },
    warning: ({ code, message, keys }) => {
      if (code === "no_input") session.setState({ noInput: message });
      else notices.say(message, "warning");
      params.refused(keys);
    },
    recovered: ({ code, message }) => {
      session.setState({ noInput: null });
      if (code !== "no_input") notices.say(message);
    },
    transition: ({ state }) => {
      if (state === "finished") notices.say("The new prompt has arrived.");
    },
    prompt_read: ({ prompts }) => {
      session.setState({ readings: prompts });
    },
    metrics: ({ figures }) => {
      session.setState({ figures });
    },
    stream_stopped: () => undefined, // the connection itself deals with it
  };
  return (heard) => {
    (ears[heard.type] as (heard: Heard) => void)(heard);
  };
}
