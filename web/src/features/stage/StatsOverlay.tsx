import { useStore } from "zustand";
import { player } from "../../state/scope";
import type { Session } from "../../state/session";

type Line = [label: string, value: string, hint: string];

/** What the page knows about the picture, once a second. */
export function StatsOverlay() {
  const session = useStore(player.session);
  return (
    <dl className="stats" data-testid="stats">
      {lines(session).map(([label, value, hint]) => (
        <div key={label} title={hint}>
          <dt>{label}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

const ms = (value: number | null | undefined): string => (typeof value === "number" ? `${value.toFixed(value < 10 ? 1 : 0)} ms` : "–");

function lines({ stats, control_ms, picture_ms, figures }: Session): Line[] {
  const size = stats ? `${String(stats.width)} × ${String(stats.height)}` : "–";
  const rate = stats ? `${(stats.kbit_s / 1000).toFixed(2)} Mbit/s ${stats.codec}` : "–";
  const all: Line[] = [
    ["Frames", stats ? `${stats.fps.toFixed(1)} /s` : "–", "Frames decoded in the last second"],
    ["Dropped", stats ? `${String(stats.dropped)}, ${String(stats.freezes)} freezes` : "–", "Since the connection began"],
    ["Size", size, "Of the picture that arrives"],
    ["Rate", rate, "What the video takes of the network"],
    ["Picture trip", ms(picture_ms), "A frame of the test pattern, drawn here until seen here again: choose it as the source"],
    ["Control", ms(control_ms), "From turning a control to the server's word that it took effect"],
    ["Network", ms(stats?.rtt_ms), "Round trip to the server"],
    ["Buffer", ms(stats?.buffer_ms), "How long a frame waits in this browser before it is decoded"],
    ["Decode", ms(stats?.decode_ms), "How long this browser decodes a frame"],
  ];
  const known: [string, string, string][] = [
    ["fps_in", "Server in", "Frames a second that reach the pipeline"],
    ["pipeline_fps", "Pipeline", "Frames a second that the pipeline makes"],
    ["fps_out", "Server out", "Frames a second that leave the server"],
  ];
  for (const [key, label, hint] of known) {
    const value = figures[key];
    if (value !== undefined) all.push([label, `${value.toFixed(1)} /s`, hint]);
  }
  return all;
}
