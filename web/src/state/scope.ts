/** The one player of this page, tied to the browser. */

import { createApi } from "../wire/api";
import { wait } from "../wire/load";
import { Trouble } from "../wire/trouble";
import { createPlayer } from "./player";

export const player = createPlayer({
  api: createApi((path, init) => fetch(path, init)),
  makePeer: (iceServers) => {
    if (!("RTCPeerConnection" in globalThis)) throw new Trouble("no_webrtc");
    return new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
  },
  codecs: () => RTCRtpReceiver.getCapabilities("video")?.codecs ?? [],
  wait,
  clientId: identity(),
  schedule: (run) => {
    requestAnimationFrame(run);
    setTimeout(run, 100); // a hidden page has no animation frames
  },
  later: (run, ms) => void setTimeout(run, ms),
  now: () => performance.now(),
});

/** The same for reloads of this tab, so that coming back wins at once. */
function identity(): string {
  const known = sessionStorage.getItem("scope.client");
  const id = known ?? Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  sessionStorage.setItem("scope.client", id);
  return id;
}
