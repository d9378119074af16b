import { type ReactNode, useEffect, useRef } from "react";
import { useStore } from "zustand";
import { player } from "../../state/scope";
import { toggleFullscreen } from "./fullscreen";
import { Graticule } from "./Graticule";
import { Message } from "./Message";
import { showPicture } from "./picture";
import "./stage.css";
import { StatsOverlay } from "./StatsOverlay";

/** The picture, and what has to be said over it. */
export function Stage({ children }: { children?: ReactNode }) {
  const video = useRef<HTMLVideoElement>(null);
  const held = useRef<HTMLCanvasElement>(null);
  const phase = useStore(player.session, (session) => session.phase.at);
  const empty = useStore(player.session, ({ stream }) => stream === null);
  const stats = useStore(player.view, (view) => view.stats);
  useEffect(() => (video.current && held.current ? showPicture(video.current, held.current) : undefined), []);
  return (
    <div className="stage" id="stage" data-phase={phase}>
      {empty && <Graticule />}
      <video
        ref={video}
        data-testid="stage-video"
        aria-label="The output picture"
        autoPlay
        muted
        playsInline
        disablePictureInPicture
        onDoubleClick={toggleFullscreen}
      />
      <canvas ref={held} hidden aria-hidden="true" />
      <Message />
      {stats && phase === "live" && <StatsOverlay />}
      {children}
    </div>
  );
}
