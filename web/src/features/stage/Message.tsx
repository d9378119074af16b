import { useStore } from "zustand";
import { lacksInput, mainOf } from "../../state/patch";
import { player } from "../../state/scope";
import { sentence } from "../../state/session";
import { Button } from "../../ui/Button";
import { Icon } from "../../ui/Icon";

/** What stands between a person and the picture, in the middle of the stage. Nothing while all is well. */
export function Message() {
  const session = useStore(player.session);
  const at = session.phase.at;
  if (at === "live") return session.noInput ? <NoInput text={session.noInput} /> : null;
  if (at === "idle" && !session.catalogError) return <Invitation />;
  const { what, todo } = sentence(session);
  const wrong = at === "failed" || at === "reconnecting" || at === "idle";
  return (
    <div className="message" data-tone={wrong ? "trouble" : "busy"} role="status" data-testid="stage-message">
      {!wrong && <span className="busy" aria-hidden="true" />}
      <h2>{what}</h2>
      {todo && <p>{todo}</p>}
      {at === "failed" && <Start label="Play again" others={session.others} />}
    </div>
  );
}

function NoInput({ text }: { text: string }) {
  return (
    <div className="message" role="status" data-testid="no-input">
      <h2>No picture comes in</h2>
      <p>{text}</p>
    </div>
  );
}

function Invitation() {
  const main = useStore(player.patch, mainOf);
  const lacks = useStore(player.patch, lacksInput);
  const others = useStore(player.session, (session) => session.others);
  if (!main) return null;
  return (
    <div className="message" data-testid="stage-message">
      <h2>{main.name}</h2>
      <p>{lacks ? "It works on a picture: choose a source on the right, then press Play." : main.description}</p>
      {others > 0 && <p className="others">Someone is playing on this server. Play takes over, Watch shows their picture.</p>}
      <Start label="Play" others={others} />
      <p className="hint">
        <kbd>Space</kbd> plays, <kbd>?</kbd> shows all keys
      </p>
    </div>
  );
}

function Start({ label, others }: { label: string; others: number }) {
  return (
    <div className="message-buttons">
      <Button tone="hand" size="large" data-testid="stage-play" onClick={player.play}>
        <Icon name="play" /> {label}
      </Button>
      {others > 0 && (
        <Button size="large" data-testid="stage-watch" onClick={player.watch}>
          <Icon name="eye" /> Watch
        </Button>
      )}
    </div>
  );
}
