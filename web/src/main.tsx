import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app";
import { choose } from "./features/inputs/switch";
import { lacksInput } from "./state/patch";
import { player } from "./state/scope";
import { running } from "./state/session";
import "./ui/base.css";

const LOOK_EVERY_MS = 1_500;

const root = document.getElementById("root");
if (root) createRoot(root).render(<StrictMode><App /></StrictMode>);

/** One press of Play shows something that moves, whatever the first pipeline needs. */
async function begin(): Promise<void> {
  await player.readCatalog();
  if (lacksInput(player.patch.getState())) await choose("pattern");
  await player.lookAround();
}

void begin();
setInterval(() => {
  if (document.hidden) return;
  if (!running(player.session.getState()) || player.view.getState().stats) void player.lookAround();
}, LOOK_EVERY_MS);
window.addEventListener("pagehide", player.stop);
