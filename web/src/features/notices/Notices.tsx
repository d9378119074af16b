import { useStore } from "zustand";
import { player } from "../../state/scope";
import { Icon } from "../../ui/Icon";
import "./notices.css";

export function Notices() {
  const list = useStore(player.notices.store, (notices) => notices.list);
  return (
    <ul className="notices" aria-live="polite" data-testid="notices">
      {list.map(({ id, tone, text, times }) => (
        <li key={id} data-tone={tone}>
          <span>
            {text}
            {times > 1 && ` (${String(times)} times)`}
          </span>
          <button
            type="button"
            aria-label="Dismiss"
            onClick={() => {
              player.notices.dismiss(id);
            }}
          >
            <Icon name="close" />
          </button>
        </li>
      ))}
    </ul>
  );
}
