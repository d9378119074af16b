import { useEffect, useRef } from "react";
import { useStore } from "zustand";
import type { InputKind } from "../../state/patch";
import { player } from "../../state/scope";
import { Row, Section } from "../../ui/Section";
import { Select } from "../../ui/Select";
import { FilePicker } from "./FilePicker";
import "./inputs.css";
import { choose, refreshCameras } from "./switch";

const KINDS: { value: InputKind; label: string }[] = [
  { value: "none", label: "None" },
  { value: "pattern", label: "Test pattern" },
  { value: "camera", label: "Camera" },
  { value: "screen", label: "Screen or window" },
  { value: "file", label: "Video file" },
];

export function Inputs() {
  const kind = useStore(player.patch, ({ input }) => input);
  const error = useStore(player.source, (source) => source.error);
  return (
    <Section title="Source">
      <Row label="Picture from" htmlFor="input-select">
        <Select
          id="input-select"
          data-testid="input-select"
          value={kind}
          choices={KINDS}
          onChoose={(value) => void choose(value as InputKind)}
        />
      </Row>
      {kind === "camera" && <Cameras />}
      {kind === "file" && <FilePicker />}
      {error && (
        <p className="input-error" role="alert">
          {error.what} <span>{error.todo}</span>
        </p>
      )}
      <Preview />
    </Section>
  );
}

function Cameras() {
  const cameras = useStore(player.source, (source) => source.cameras);
  const camera = useStore(player.source, (source) => source.camera);
  useEffect(() => {
    const look = (): void => void refreshCameras();
    navigator.mediaDevices?.addEventListener("devicechange", look);
    return () => navigator.mediaDevices?.removeEventListener("devicechange", look);
  }, []);
  if (cameras.length < 2) return null;
  return (
    <Row label="Camera" htmlFor="camera-select">
      <Select
        id="camera-select"
        data-testid="camera-select"
        value={camera ?? cameras[0]?.id}
        choices={cameras.map(({ id, label }) => ({ value: id, label }))}
        onChoose={(id) => void choose("camera", { camera: id })}
      />
    </Row>
  );
}

/** What goes in, small. */
function Preview() {
  const stream = useStore(player.source, (source) => source.stream);
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    if (video.current) video.current.srcObject = stream;
  }, [stream]);
  if (!stream) return null;
  return <video ref={video} className="input-preview" data-testid="input-preview" autoPlay muted playsInline aria-label="What goes in" />;
}
