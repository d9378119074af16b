import { useStore } from "zustand";
import { player } from "../../state/scope";
import { Button } from "../../ui/Button";
import "./controls.css";

/** Offered while something was changed that only a reload brings. */
export function Apply() {
  useStore(player.patch);
  useStore(player.params.store);
  useStore(player.session, ({ loaded }) => loaded);
  useStore(player.session, ({ phase }) => phase.at);
  if (!player.stale()) return null;
  return (
    <div className="apply" role="status">
      <p>Changed since the load. The picture holds while it reloads.</p>
      <Button tone="hand" data-testid="apply" onClick={() => void player.apply()}>
        Apply (reloads)
      </Button>
    </div>
  );
}
