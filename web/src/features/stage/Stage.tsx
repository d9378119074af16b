import { type ReactNode, useEffect, useRef } from "react";
import { useStore } from "zustand";
import { player } from "../../state/scope";
import { toggleFullscreen } from "./fullscreen";
import { Message } from "./Message";
import { showPicture } from "./picture";
import "./stage.css";
import { StatsOverlay } from "./StatsOverlay";

/** The picture, and what has to be said over it. */
export function Stage({ children }: { children?: ReactNode }) {
  const video = useRef<HTMLVideoElement>(null);
  const held = useRef<HTMLCanvasElement>(null);
  const phase = useStore(player.session, (session) => session.phase.at);
  const stats = useStore(player.view, (view) => view.stats);
  useEffect(() => (video.current && held.current ? showPicture(video.current, held.current) : undefined), []);
  return (
    <div className="stage" id="stage" data-phase={phase} onDoubleClick={toggleFullscreen}>
      <video ref={video} data-testid="stage-video" autoPlay muted playsInline disablePictureInPicture aria-label="The output picture" />
      <canvas ref={held} hidden aria-hidden="true" />
      <Message />
      {stats && <StatsOverlay />}
      {children}
    </div>
  );
}
