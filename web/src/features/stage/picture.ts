/** The video element's own life, outside React: new streams, the picture held between two of them, the way back measured. */

import { player } from "../../state/scope";
import { CELLS, read, ROWS } from "../../wire/framecode";

const MEASURE_EVERY_MS = 250;
const KEPT = 9; // measurements, for a median

/** Shows the session's stream in `video`; `held` shows the last picture until the next stream has one. */
export function showPicture(video: HTMLVideoElement, held: HTMLCanvasElement): () => void {
  let connected: string | null = null;
  const follow = (): void => {
    const { stream, id } = player.session.getState();
    if (connected && !id) hold(video, held); // a moment later the track ends, and the video element with it is black
    connected = id;
    if (!stream) held.hidden = true;
    if (video.srcObject === stream) return;
    video.srcObject = stream;
    if (!stream) return;
    video.requestVideoFrameCallback(() => (held.hidden = true));
    video.play().catch(() => undefined); // muted: only refused while another stream takes over
  };
  const unsubscribe = player.session.subscribe(follow);
  const stopMeasuring = measure(video);
  follow();
  return () => {
    unsubscribe();
    stopMeasuring();
  };
}

function hold(video: HTMLVideoElement, held: HTMLCanvasElement): void {
  if (!video.videoWidth) return;
  held.hidden = false;
  held.width = video.videoWidth;
  held.height = video.videoHeight;
  held.getContext("2d")?.drawImage(video, 0, 0);
}

/** While our own test pattern is the source: how old is a frame of it when it is seen here again? */
function measure(video: HTMLVideoElement): () => void {
  const canvas = document.createElement("canvas");
  canvas.width = CELLS * 4;
  canvas.height = 8;
  const pen = canvas.getContext("2d", { willReadFrequently: true, alpha: false });
  let ages: number[] = [];
  const look = (): void => {
    const code = pen && readCode(video, pen);
    const age = code && player.marks.age(code.number);
    if (!age) return;
    ages = [...ages, age].slice(-KEPT);
    player.session.setState({ picture_ms: ages.toSorted((a, b) => a - b)[Math.floor(ages.length / 2)] ?? null });
  };
  const timer = setInterval(() => {
    if (player.patch.getState().input === "pattern" && player.session.getState().phase.at === "live") {
      video.requestVideoFrameCallback(look);
    } else if (ages.length) {
      ages = [];
      player.session.setState({ picture_ms: null });
    }
  }, MEASURE_EVERY_MS);
  return () => {
    clearInterval(timer);
  };
}

function readCode(video: HTMLVideoElement, pen: CanvasRenderingContext2D): { number: number; level: number } | null {
  const { width, height } = pen.canvas;
  pen.drawImage(video, 0, 0, video.videoWidth, (video.videoHeight * 2) / ROWS, 0, 0, width, height);
  const { data } = pen.getImageData(0, 0, width, height);
  return read((row, cell) => {
    const at = ((row * 4 + 2) * width + cell * 4 + 2) * 4;
    return ((data[at] ?? 0) + 2 * (data[at + 1] ?? 0) + (data[at + 2] ?? 0)) / 4;
  });
}
