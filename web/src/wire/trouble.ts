/** Everything that can stand between a person and a moving picture, said in words with what to do about it. */

export type TroubleCode =
  | "server_gone"
  | "restarted"
  | "dropped"
  | "no_route"
  | "load_failed"
  | "load_slow"
  | "not_loaded"
  | "busy"
  | "not_allowed"
  | "refused"
  | "stopped"
  | "nothing_chosen"
  | "no_webrtc";

export class Trouble extends Error {
  override name = "Trouble";
  constructor(
    readonly code: TroubleCode,
    readonly detail = "",
  ) {
    super(detail || code);
  }

  /** Worth trying again without being asked. */
  get passing(): boolean {
    return this.code === "server_gone" || this.code === "restarted" || this.code === "dropped" || this.code === "no_route";
  }
}

export interface Words {
  what: string;
  todo: string;
}

const WORDS: Record<TroubleCode, Words> = {
  server_gone: { what: "The server does not answer.", todo: "Start it again with “scope”. This page comes back by itself." },
  restarted: { what: "The server was restarted.", todo: "Loading the same pipeline again." },
  dropped: { what: "The connection dropped.", todo: "Connecting again; your settings are kept." },
  no_route: {
    what: "The server answers, but the video cannot get through.",
    todo: "Video needs UDP between this browser and the server: check the firewall or VPN, or set SCOPE_ICE_SERVERS to a TURN server.",
  },
  load_failed: { what: "The pipeline could not be loaded.", todo: "Change the load settings or choose another pipeline, then press Play." },
  load_slow: { what: "Loading takes longer than ten minutes.", todo: "Look at the server's log, then press Play to try again." },
  not_loaded: { what: "Nothing is playing on this server yet.", todo: "Choose a pipeline and press Play." },
  busy: { what: "Someone else is playing.", todo: "Press Watch to see their picture, or ask them to stop." },
  not_allowed: { what: "The server does not let this page in.", todo: "Open the address with the token that the server printed when it started." },
  refused: { what: "The server refused the connection.", todo: "Press Play to try again." },
  stopped: { what: "The stream was stopped.", todo: "Press Play to start it again." },
  nothing_chosen: { what: "No pipeline is chosen.", todo: "Choose one in the Pipeline panel, then press Play." },
  no_webrtc: { what: "This browser has no WebRTC.", todo: "Open this page in a current Chrome, Edge, Firefox or Safari." },
};

export function inWords({ code, detail }: Trouble): Words {
  const words = WORDS[code];
  if (!detail) return words;
  const sentence = /[.!?]$/.test(detail) ? detail : `${detail}.`;
  return { what: code === "stopped" || code === "refused" ? sentence : `${words.what} ${sentence}`, todo: words.todo };
}

export function asTrouble(error: unknown): Trouble {
  if (error instanceof Trouble) return error;
  return new Trouble("refused", error instanceof Error ? error.message : String(error));
}
