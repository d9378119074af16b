import { useState } from "react";
import { useStore } from "zustand";
import { player } from "../../state/scope";
import { Button } from "../../ui/Button";
import { Row } from "../../ui/Section";
import { asTrouble, inWords } from "../../wire/trouble";
import { choose } from "./switch";

export function FilePicker() {
  const file = useStore(player.source, (source) => source.file);
  const [sending, setSending] = useState(false);
  const upload = async (): Promise<void> => {
    if (!file) return;
    setSending(true);
    try {
      const asset = await player.api.upload(file);
      player.notices.say(`${asset.name} is kept on the server.`);
    } catch (error) {
      player.notices.say(inWords(asTrouble(error)).what, "warning");
    }
    setSending(false);
  };
  return (
    <Row label="File">
      <div className="file-row">
        <label className="button file-pick">
          <span>{file?.name ?? "Choose…"}</span>
          <input
            type="file"
            accept="video/*"
            className="sr-only"
            data-testid="file-input"
            onChange={(event) => void choose("file", { file: event.target.files?.[0] ?? null })}
          />
        </label>
        <Button data-testid="file-upload" disabled={!file || sending} title="Upload it to the server's assets" onClick={() => void upload()}>
          {sending ? "Sending…" : "Keep"}
        </Button>
      </div>
    </Row>
  );
}
