/** Ways to a picture, each ending in a MediaStream, and in words when there is none. */

import type { InputKind } from "../../state/patch";
import { startPattern } from "./pattern";

export class NoPicture extends Error {
  constructor(
    readonly what: string,
    readonly todo: string,
  ) {
    super(what);
  }
}

export interface Wish {
  kind: InputKind;
  camera: string | null;
  file: File | null;
  drawn: (number: number) => void;
}

const SHAPE = { width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { ideal: 30, max: 30 } };

/** Null where nothing is to be sent. Throws NoPicture. */
export async function open({ kind, camera, file, drawn }: Wish): Promise<MediaStream | null> {
  try {
    switch (kind) {
      case "none":
        return null;
      case "pattern":
        return startPattern(drawn);
      case "camera":
        return await devices().getUserMedia({ video: { ...SHAPE, ...(camera && { deviceId: { exact: camera } }) } });
      case "screen":
        return await devices().getDisplayMedia({ video: { frameRate: { ideal: 30, max: 30 } }, audio: false });
      case "file":
        return file ? await playFile(file) : null;
    }
  } catch (error) {
    throw error instanceof NoPicture ? error : explain(kind, error);
  }
}

export async function listCameras(): Promise<{ id: string; label: string }[]> {
  if (!("mediaDevices" in navigator)) return [];
  const all = await navigator.mediaDevices.enumerateDevices();
  return all
    .filter((device) => device.kind === "videoinput" && device.deviceId)
    .map((device, i) => ({ id: device.deviceId, label: device.label || `Camera ${String(i + 1)}` }));
}

function devices(): MediaDevices {
  if ("mediaDevices" in navigator) return navigator.mediaDevices;
  throw new NoPicture(
    "The browser keeps camera and screen from this address.",
    "It only lends them to pages on this machine (http://localhost) or over https. A video file or the test pattern works here.",
  );
}

async function playFile(file: File): Promise<MediaStream> {
  const video: HTMLVideoElement & { captureStream?: () => MediaStream; mozCaptureStream?: () => MediaStream } =
    document.createElement("video");
  video.muted = true;
  video.loop = true;
  video.playsInline = true;
  video.src = URL.createObjectURL(file);
  await video.play();
  const capture = video.captureStream ?? video.mozCaptureStream;
  if (!capture) throw new NoPicture("This browser cannot play a file into the stream.", "Use Chrome, Edge or Firefox for this.");
  const stream = capture.call(video);
  const track = stream.getVideoTracks()[0];
  if (!track) throw new NoPicture(`${file.name} has no picture.`, "Choose a video file.");
  const end = track.stop.bind(track);
  track.stop = () => {
    end();
    video.pause();
    URL.revokeObjectURL(video.src);
  };
  return stream;
}

function explain(kind: InputKind, error: unknown): NoPicture {
  const name = error instanceof DOMException ? error.name : "";
  if (kind === "file") return new NoPicture("This file cannot be played here.", "Choose an MP4 (H.264) or WebM file.");
  if (kind === "screen") return new NoPicture("No screen was chosen.", "Choose Screen again and pick a window or a screen.");
  if (name === "NotAllowedError") {
    return new NoPicture("The browser may not use the camera.", "Click the camera sign in the address bar, allow it, then choose Camera again.");
  }
  if (name === "NotFoundError" || name === "OverconstrainedError") {
    return new NoPicture("No camera was found.", "Plug one in, or choose another source.");
  }
  if (name === "NotReadableError") return new NoPicture("The camera is in use by another program.", "Close that program, then choose Camera again.");
  return new NoPicture("The camera did not start.", error instanceof Error ? error.message : "Choose another source.");
}
