/** Changing the source, also in the middle of a show: the new picture replaces the old one in the running session. */

import type { InputKind } from "../../state/patch";
import { player } from "../../state/scope";
import { listCameras, NoPicture, open } from "./open";

let latest = 0;

/** `with` names the camera or file that goes with the kind. */
export async function choose(kind: InputKind, given: { camera?: string | null; file?: File | null } = {}): Promise<void> {
  const { source, patch } = player;
  const turn = ++latest;
  patch.setState({ input: kind });
  source.setState({ error: null, ...given });
  const { camera, file } = source.getState();
  let stream: MediaStream | null = null;
  try {
    stream = await open({ kind, camera, file, drawn: player.marks.draw });
  } catch (error) {
    if (error instanceof NoPicture) source.setState({ error: { what: error.what, todo: error.todo } });
  }
  if (turn !== latest) {
    end(stream);
    return;
  }
  const before = source.getState().stream;
  const track = stream?.getVideoTracks()[0];
  source.setState({ stream, label: track?.label ?? "" });
  track?.addEventListener("ended", () => {
    if (source.getState().stream === stream) lost(kind);
  });
  await player.feed();
  end(before);
  if (kind === "camera") await refreshCameras();
}

export async function refreshCameras(): Promise<void> {
  player.source.setState({ cameras: await listCameras() });
}

function lost(kind: InputKind): void {
  player.notices.say(kind === "screen" ? "Screen sharing was ended." : "The camera was unplugged or taken away.", "warning");
  void choose("none");
}

function end(stream: MediaStream | null): void {
  stream?.getTracks().forEach((track) => {
    track.stop();
  });
}
