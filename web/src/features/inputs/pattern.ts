/** The test pattern: bars that move, with a frame code that is known again when the picture comes back. */

import { CELLS, cells, NUMBERS, ROWS } from "../../wire/framecode";

const WIDTH = 576;
const HEIGHT = 320;
const RATE_HZ = 30;
const BARS = ["#3b2208", "#8a5a12", "#ffb02e", "#f3e2b8", "#57d3f2", "#1d7f9c", "#123c52", "#0c1a24"];

/** A running pattern; `drawn` hears the number of each frame at the moment it is drawn. */
export function startPattern(drawn: (number: number) => void): MediaStream {
  const canvas = document.createElement("canvas");
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  const pen = canvas.getContext("2d", { alpha: false });
  const stream = canvas.captureStream(0);
  const track = stream.getVideoTracks()[0] as CanvasCaptureMediaStreamTrack | undefined;
  if (!pen || !track) return stream;
  let number = Math.floor(Math.random() * NUMBERS); // so that no other page's frames are taken for ours
  const timer = setInterval(() => {
    if (track.readyState === "ended") {
      clearInterval(timer);
      return;
    }
    number = (number + 1) % NUMBERS;
    paint(pen, number, performance.now() / 1000);
    drawn(number);
    track.requestFrame();
  }, 1000 / RATE_HZ);
  return stream;
}

function paint(pen: CanvasRenderingContext2D, number: number, time_s: number): void {
  const step = WIDTH / BARS.length;
  const shift = (time_s * 60) % WIDTH;
  BARS.forEach((colour, i) => {
    const x = (i * step + shift) % WIDTH;
    pen.fillStyle = colour;
    pen.fillRect(x, 0, step + 1, HEIGHT);
    pen.fillRect(x - WIDTH, 0, step + 1, HEIGHT);
  });
  for (let i = 0; i < 3; i++) {
    const angle = time_s * (0.7 + i * 0.31) + i * 2.1;
    pen.fillStyle = ["#08090b", "#ffb02e", "#e6e9ec"][i] ?? "#000";
    pen.beginPath();
    pen.arc(WIDTH / 2 + Math.cos(angle) * 170, HEIGHT / 2 + Math.sin(angle * 1.3) * 90, 46 - i * 12, 0, 2 * Math.PI);
    pen.fill();
  }
  paintCode(pen, number);
}

function paintCode(pen: CanvasRenderingContext2D, number: number): void {
  cells(number, Math.floor(number / 4) & 0xff).forEach((row, y) => {
    const top = Math.floor((y * HEIGHT) / ROWS);
    const height = Math.floor(((y + 1) * HEIGHT) / ROWS) - top;
    row.forEach((white, x) => {
      const left = Math.ceil((x * WIDTH) / CELLS);
      pen.fillStyle = white ? "#fff" : "#000"; // full range here is 235 and 16 in the video
      pen.fillRect(left, top, Math.ceil(((x + 1) * WIDTH) / CELLS) - left, height);
    });
  });
}
