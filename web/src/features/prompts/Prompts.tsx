import { useState } from "react";
import { useStore } from "zustand";
import { mainOf } from "../../state/patch";
import type { Reading } from "../../wire/channel";
import { openingOf } from "../../wire/schema";
import { player } from "../../state/scope";
import { live } from "../../state/session";
import { Button } from "../../ui/Button";
import "./prompts.css";

const FADE_STEPS = [0, 4, 8, 16, 32];

/** One prompt; Enter sends it. Shown only where the pipeline reads prompts. */
export function Prompts() {
  const heard = useStore(player.patch, (patch) => mainOf(patch)?.supports_prompts ?? false);
  const sent = useStore(player.patch, ({ prompt }) => prompt);
  const isLive = useStore(player.session, live);
  const watching = useStore(player.session, ({ role }) => role === "viewer");
  const readings = useStore(player.session, ({ readings }) => readings);
  const opening = useStore(player.patch, (patch) => openingOf(mainOf(patch)));
  const [text, setText] = useState(sent);
  const [fade, setFade] = useState(0);
  if (!heard || (watching && isLive)) return null;
  const fresh = text.trim() !== sent;
  return (
    <form
      className="prompts"
      onSubmit={(event) => {
        event.preventDefault();
        player.prompt(text.trim(), fade);
      }}
    >
      <input
        className="field"
        data-testid="prompt"
        aria-label="Prompt"
        placeholder={opening || "What should be seen? Enter sends it."}
        value={text}
        maxLength={10_000}
        data-fresh={fresh}
        autoComplete="off"
        onChange={(event) => {
          setText(event.target.value);
          if (!isLive) player.patch.setState({ prompt: event.target.value.trim() });
        }}
        onKeyDown={(event) => {
          if (event.key === "Escape") event.currentTarget.blur();
        }}
      />
      <select
        className="select"
        data-testid="prompt-fade"
        aria-label="Fade"
        value={fade}
        onChange={(event) => {
          setFade(Number(event.target.value));
        }}
      >
        {FADE_STEPS.map((steps) => (
          <option key={steps} value={steps}>
            {steps ? `Fade, ${String(steps)} steps` : "Cut"}
          </option>
        ))}
      </select>
      <Button type="submit" data-testid="prompt-send" disabled={!isLive}>
        Send
      </Button>
      {isLive && <Read readings={readings} />}
    </form>
  );
}

/** Which words the model knows, so that nobody waits for what it cannot draw. */
function Read({ readings }: { readings: Reading[] }) {
  const known = readings.flatMap(({ understood }) => understood);
  const unknown = readings.flatMap(({ unknown }) => unknown);
  if (known.length + unknown.length === 0) return null;
  return (
    <p className="prompt-read" data-testid="prompt-read">
      {known.length ? `Understood: ${known.join(", ")}.` : "Nothing here that this model was taught."}
      {unknown.length > 0 && <span> Not known: {unknown.join(", ")}.</span>}
    </p>
  );
}
