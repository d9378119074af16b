import "./app.css";
import { Controls } from "./features/controls/Controls";
import { Inputs } from "./features/inputs/Inputs";
import { actionsOf } from "./features/keys/actions";
import { Keys } from "./features/keys/Keys";
import { Notices } from "./features/notices/Notices";
import { Pipelines } from "./features/pipelines/Pipelines";
import { Prompts } from "./features/prompts/Prompts";
import { toggleFullscreen } from "./features/stage/fullscreen";
import { Stage } from "./features/stage/Stage";
import { Transport } from "./features/stage/Transport";

const actions = actionsOf(toggleFullscreen);

/** The picture, what plays it below, and a rack of everything that can be turned. */
export function App() {
  return (
    <main className="app">
      <Stage>
        <Notices />
      </Stage>
      <Prompts />
      <Transport />
      <aside className="rack" aria-label="Settings">
        <h1 className="brand">
          <svg viewBox="0 0 32 32" aria-hidden="true">
            <circle cx="16" cy="16" r="12" fill="none" stroke="var(--hand)" strokeWidth="4" />
            <circle cx="16" cy="16" r="4.5" fill="var(--signal)" />
          </svg>
          Scope
        </h1>
        <Inputs />
        <Pipelines />
        <Controls />
      </aside>
      <Keys actions={actions} />
    </main>
  );
}
