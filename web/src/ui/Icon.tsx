/** Drawn on a 16 by 16 grid. */
const SHAPES = {
  play: "M4 2.5v11l9-5.5z",
  stop: "M3.5 3.5h9v9h-9z",
  pause: "M4 3h3v10H4zM9 3h3v10H9z",
  reset: "M13 8a5 5 0 1 1-1.6-3.7M13 2v3h-3",
  full: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
  stats: "M2.5 13.5v-4M6.2 13.5v-8M9.8 13.5V8M13.5 13.5v-11",
  eye: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM8 9.7a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.4z",
  keys: "M1.5 4.5h13v7h-13zM4 7h.01M6.7 7h.01M9.3 7h.01M12 7h.01M5.5 9.3h5",
  close: "M4 4l8 8M12 4l-8 8",
} as const;
const SOLID = new Set(["play", "stop", "pause"]);

export function Icon({ name }: { name: keyof typeof SHAPES }) {
  return (
    <svg className="icon" viewBox="0 0 16 16" aria-hidden="true" data-solid={SOLID.has(name) || undefined}>
      <path d={SHAPES[name]} />
    </svg>
  );
}
