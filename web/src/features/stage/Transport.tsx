import { useStore } from "zustand";
import { mainOf } from "../../state/patch";
import { player } from "../../state/scope";
import { live, running, sentence, type Session } from "../../state/session";
import { Button } from "../../ui/Button";
import { Icon } from "../../ui/Icon";
import { toggleFullscreen } from "./fullscreen";
import "./stage.css";

/** Play and stop, and the state of the connection in words. */
export function Transport() {
  const isRunning = useStore(player.session, running);
  const isLive = useStore(player.session, live);
  const paused = useStore(player.session, (session) => session.paused);
  const watching = useStore(player.session, ({ role }) => role === "viewer");
  const others = useStore(player.session, (session) => session.others);
  const ready = useStore(player.patch, (patch) => mainOf(patch) !== null);
  return (
    <div className="transport" role="toolbar" aria-label="Transport">
      {isRunning ? (
        <Button data-testid="stop" title="Stop (Space)" onClick={player.stop}>
          <Icon name="stop" /> Stop
        </Button>
      ) : (
        <Button tone="hand" data-testid="play" title="Play (Space)" disabled={!ready} onClick={player.play}>
          <Icon name="play" /> Play
        </Button>
      )}
      {!isRunning && others > 0 && (
        <Button data-testid="watch" title="See the picture of whoever is playing" onClick={player.watch}>
          <Icon name="eye" /> Watch
        </Button>
      )}
      <Button data-testid="pause" title="Pause (P)" aria-pressed={paused} disabled={!isLive || watching} onClick={player.pause}>
        <Icon name="pause" /> Pause
      </Button>
      <Button data-testid="reset" title="Start a new shot (R)" disabled={!isLive || watching} onClick={player.reset}>
        <Icon name="reset" /> Reset
      </Button>
      <State />
      <ViewButtons />
    </div>
  );
}

function State() {
  const session = useStore(player.session);
  const { what, todo } = sentence(session);
  return (
    <p className="state" data-testid="connection-state" data-phase={session.phase.at} title={todo} role="status">
      <i aria-hidden="true" />
      <span>{what}</span>
      {live(session) && session.stats && <small>{figures(session)}</small>}
    </p>
  );
}

function figures({ stats, picture_ms }: Session): string {
  if (!stats) return "";
  const parts = [`${stats.fps.toFixed(0)} fps`, `${String(stats.width)}×${String(stats.height)}`];
  if (picture_ms !== null) parts.push(`${picture_ms.toFixed(0)} ms`);
  return parts.join(", ");
}

function ViewButtons() {
  const stats = useStore(player.view, (view) => view.stats);
  const flip = (key: "stats" | "keys"): void => {
    player.view.setState((view) => ({ [key]: !view[key] }));
  };
  return (
    <>
      <Button
        tone="plain"
        data-testid="stats-toggle"
        title="Figures (S)"
        aria-label="Figures"
        aria-pressed={stats}
        onClick={() => {
          flip("stats");
        }}
      >
        <Icon name="stats" />
      </Button>
      <Button tone="plain" data-testid="fullscreen" title="Full screen (F)" aria-label="Full screen" onClick={toggleFullscreen}>
        <Icon name="full" />
      </Button>
      <Button
        tone="plain"
        data-testid="keys-toggle"
        title="Keys (?)"
        aria-label="Keys"
        onClick={() => {
          flip("keys");
        }}
      >
        <Icon name="keys" />
      </Button>
    </>
  );
}
