/** Only the picture, on the whole screen. */
export function toggleFullscreen(): void {
  if (document.fullscreenElement) void document.exitFullscreen();
  else void document.getElementById("stage")?.requestFullscreen().catch(() => undefined);
}
