import { useEffect, useRef } from "react";
import { useStore } from "zustand";
import { player } from "../../state/scope";
import { Button } from "../../ui/Button";
import { Icon } from "../../ui/Icon";
import { type Action, actionFor, ON_A_CONTROL } from "./actions";
import "./keys.css";

/** Listens to the keyboard, and shows what it does when asked. */
export function Keys({ actions }: { actions: Action[] }) {
  const open = useStore(player.view, (view) => view.keys);
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      const action = actionFor(actions, event, event.target instanceof Element ? event.target : null);
      if (!action) return;
      event.preventDefault();
      action.run();
    };
    window.addEventListener("keydown", pressed);
    return () => {
      window.removeEventListener("keydown", pressed);
    };
  }, [actions]);
  return open ? <Sheet actions={actions} /> : null;
}

function Sheet({ actions }: { actions: Action[] }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  const close = (): void => {
    player.view.setState({ keys: false });
  };
  return (
    <dialog ref={dialog} className="keys" data-testid="keys" aria-label="Keys" onClose={close} onClick={close}>
      <h2>Keys</h2>
      <Button tone="plain" aria-label="Close" onClick={close}>
        <Icon name="close" />
      </Button>
      <Lines lines={actions.map(({ shown, does }) => [shown, does])} />
      <h3>On a control</h3>
      <Lines lines={ON_A_CONTROL} />
    </dialog>
  );
}

function Lines({ lines }: { lines: [string, string][] }) {
  return (
    <dl>
      {lines.map(([shown, does]) => (
        <div key={shown}>
          <dt>
            <kbd>{shown}</kbd>
          </dt>
          <dd>{does}</dd>
        </div>
      ))}
    </dl>
  );
}
