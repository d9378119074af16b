"""Reading the stage of the page: the number written in the pixels of its video element."""

from __future__ import annotations

import time

import numpy as np
from playwright.async_api import Page

from scope.pipelines import framecode

READ = """() => {
  const video = document.querySelector('[data-testid="stage-video"]');
  if (!video || !video.videoWidth || video.readyState < 2) return null;
  const canvas = document.createElement("canvas");
  canvas.width = %d; canvas.height = %d;
  const pen = canvas.getContext("2d", {willReadFrequently: true});
  pen.drawImage(video, 0, 0, canvas.width, canvas.height);
  return Array.from(pen.getImageData(0, 0, canvas.width, canvas.height).data.filter((_, i) => i %% 4 == 1));
}"""
WIDTH, HEIGHT = 320, 128


async def luma(page: Page) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | None:
    """The picture on the stage, as green is seen, at a fixed size; None when there is none yet."""
    found = await page.evaluate(READ % (WIDTH, HEIGHT))
    return None if found is None else np.array(found, np.uint8).reshape(HEIGHT, WIDTH)


async def code(page: Page) -> tuple[int, int] | None:
    """(number, level) read from the stage."""
    picture = await luma(page)
    return None if picture is None else framecode.read(picture)


async def next_code(page: Page, timeout_s: float = 10.0) -> tuple[int, int]:
    """The first number that can be read."""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        if (found := await code(page)) is not None:
            return found
        await page.wait_for_timeout(30)
    raise TimeoutError("no number on the stage")


async def wait_level(page: Page, level: int, timeout_s: float = 5.0) -> float:
    """Seconds until the level on the stage is `level`."""
    began_s = time.monotonic()
    while time.monotonic() - began_s < timeout_s:
        found = await code(page)
        if found is not None and abs(found[1] - level) <= 1:
            return time.monotonic() - began_s
        await page.wait_for_timeout(10)
    raise TimeoutError(f"the level never became {level}; it is {await code(page)}")


COLOURS = """() => {
  const video = document.querySelector('[data-testid="stage-video"]');
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth; canvas.height = 1;
  const pen = canvas.getContext("2d", {willReadFrequently: true});
  pen.drawImage(video, 0, video.videoHeight / 4, video.videoWidth, 1, 0, 0, video.videoWidth, 1);
  return Array.from(pen.getImageData(0, 0, canvas.width, 1).data);
}"""


async def colours(page: Page) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """[width, 3]: the colours along one line of the picture, a quarter down, as the browser shows them."""
    return np.array(await page.evaluate(COLOURS), np.uint8).reshape(-1, 4)[:, :3]
