"""Takes the pictures of the documentation: `python -m tools.screenshots` (needs Chromium and the built page)."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

from playwright.async_api import Page, async_playwright

from tests.live_server import LiveServer

IMAGES = Path(__file__).parent.parent / "docs" / "images"
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
)
SIZES = {"laptop": (1280, 720), "tablet": (1024, 768), "desk": (1920, 1080)}


async def play(page: Page) -> None:
    """The test pattern with a prompt, a few knobs turned."""
    await page.get_by_test_id("pipeline-select").select_option("test-pattern")
    await page.get_by_test_id("play").click()
    await page.wait_for_timeout(1500)
    await page.get_by_test_id("prompt").fill("rain on a neon street, slow")
    await page.keyboard.press("Enter")
    await page.get_by_test_id("control-level").focus()
    for _ in range(5):
        await page.keyboard.press("PageUp")
    await page.get_by_test_id("stats-toggle").click()
    await page.wait_for_timeout(2500)


async def take(server: LiveServer) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS.split())
        for name, (width, height) in SIZES.items():
            context = await browser.new_context(viewport={"width": width, "height": height})
            page = await context.new_page()
            await page.goto(server.base_url)
            await page.wait_for_timeout(500)
            if name == "laptop":
                await page.screenshot(path=IMAGES / "ready.png")
            await play(page)
            await page.screenshot(path=IMAGES / f"live-{name}.png")
            await context.close()
        await browser.close()


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, LiveServer(Path(home)) as server:
        asyncio.run(take(server))


if __name__ == "__main__":
    main()
