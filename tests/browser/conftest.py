"""A real headless Chromium, with a camera that shows numbered pictures, in front of a real server."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from playwright.async_api import Browser, Page, async_playwright

from scope.pipelines import framecode
from tests.live_server import LiveServer

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
)
CAMERA_FRAMES, CAMERA_SIZE = 120, (320, 240)
PAGE = Path(__file__).parents[2] / "src/scope/web/index.html"


def executable() -> str:
    """The system's browser. Skips without one, unless this is the gate."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None or not PAGE.exists():
        missing = "no Chromium" if found is None else "the page is not built"
        if os.environ.get("SCOPE_REQUIRE_BROWSER"):
            pytest.fail(f"{missing} here, and this run requires it: `make test` installs and builds what is needed")
        pytest.skip(f"{missing} here; `make test` installs and builds what is needed")
    return found


@pytest.fixture(scope="session")
def camera_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Y4M clip that Chromium plays as its camera: grey, with a number in every frame."""
    width, height = CAMERA_SIZE
    path = tmp_path_factory.mktemp("camera") / "numbers.y4m"
    with path.open("wb") as out:
        out.write(f"YUV4MPEG2 W{width} H{height} F30:1 Ip A1:1 C420jpeg\n".encode())
        for number in range(CAMERA_FRAMES):
            block = np.full((height * 3 // 2, width), 128, np.uint8)
            framecode.draw(block[:height], number, level=200)
            out.write(b"FRAME\n" + block.tobytes())
    return path


@pytest.fixture(scope="session")
def camera_clip(camera_file: Path) -> Path:
    """The same pictures as a file that a browser plays."""
    path = camera_file.with_suffix(".webm")
    with av.open(camera_file) as source, av.open(path, "w") as target:
        stream = target.add_stream("libvpx", 30, width=CAMERA_SIZE[0], height=CAMERA_SIZE[1], pix_fmt="yuv420p")
        for picture in source.decode(video=0):
            target.mux(stream.encode(picture))
        target.mux(stream.encode(None))
    return path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    with LiveServer(tmp_path) as live:
        yield live


@pytest.fixture
async def browser(camera_file: Path) -> AsyncIterator[Browser]:
    flags = [*FLAGS.split(), f"--use-file-for-fake-video-capture={camera_file}"]
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=executable(), args=flags)
        yield launched
        await launched.close()


@pytest.fixture
async def page(browser: Browser, server: LiveServer) -> AsyncIterator[Page]:
    """The page, freshly opened at a laptop's size; whatever the browser complains of fails the test at its end."""
    context = await browser.new_context(viewport={"width": 1280, "height": 720})
    opened = await context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda message: complaints.append(message.text) if "Content Security Policy" in message.text else None)
    outside: list[str] = []
    opened.on(
        "request",
        lambda request: None if request.url.startswith((server.base_url, "blob:", "data:")) else outside.append(request.url),
    )
    await opened.goto(server.base_url)
    yield opened
    await context.close()
    assert not complaints and not outside, (complaints, outside)
