"""What a person does on the page, done by a real browser."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
from playwright.async_api import Page, expect

from tests.browser.stage import code, colours, luma, next_code, wait_level
from tests.live_server import LiveServer


async def play(page: Page, pipeline: str, source: str | None = None) -> None:
    await page.get_by_test_id("pipeline-select").select_option(pipeline)
    if source is not None:
        await page.get_by_test_id("input-select").select_option(source)
    await page.get_by_test_id("play").click()
    await expect(page.get_by_test_id("connection-state")).to_have_attribute("data-phase", "live", timeout=15_000)


async def test_the_test_pattern_plays_and_counts(page: Page) -> None:
    await play(page, "test-pattern")
    first = (await next_code(page))[0]
    await page.wait_for_timeout(2000)
    later = (await next_code(page))[0]
    assert 30 <= later - first <= 90, "two seconds of about thirty frames each"


async def test_the_camera_comes_back_through_passthrough(page: Page) -> None:
    await play(page, "passthrough", "camera")
    first = await next_code(page)
    assert first[1] == 200, "the level that the camera's picture carries"
    numbers = set()
    for _ in range(20):
        numbers.add((await next_code(page))[0])
        await page.wait_for_timeout(60)
    assert len(numbers) > 8, "it moves"


async def test_a_knob_is_felt_at_once(page: Page) -> None:
    await play(page, "test-pattern")
    await next_code(page)
    await page.get_by_test_id("control-level").focus()
    await page.keyboard.press("End")
    assert await wait_level(page, 255) < 1.0
    await page.keyboard.press("Home")
    assert await wait_level(page, 0) < 1.0


async def test_pause_holds_and_resume_moves_on(page: Page) -> None:
    await play(page, "test-pattern")
    await next_code(page)
    await page.keyboard.press("p")
    await page.wait_for_timeout(500)
    held = await next_code(page)
    await page.wait_for_timeout(1000)
    assert await code(page) == held
    await page.keyboard.press("p")
    await page.wait_for_timeout(1000)
    assert (await next_code(page))[0] > held[0]


async def test_a_prompt_is_written_on_the_picture(page: Page) -> None:
    await play(page, "test-pattern")
    await next_code(page)
    await page.get_by_test_id("prompt").fill("a neon city at night")
    await page.keyboard.press("Enter")
    await page.wait_for_timeout(800)
    picture = await luma(page)
    assert picture is not None
    band = picture[int(picture.shape[0] * 0.64) : int(picture.shape[0] * 0.7), 100:220]
    assert band.min() < 60 and band.max() > 150, "light letters on a dark box"


async def test_a_killed_worker_leaves_the_page_live(page: Page, server: LiveServer) -> None:
    await play(page, "test-pattern")
    await next_code(page)
    (worker,) = server.worker_pids()
    os.kill(worker, signal.SIGKILL)
    await page.wait_for_timeout(100)
    assert await luma(page) is not None, "the picture holds"
    await page.wait_for_timeout(3000)
    first = (await next_code(page))[0]
    await page.wait_for_timeout(500)
    assert (await next_code(page))[0] != first
    await expect(page.get_by_test_id("connection-state")).to_have_attribute("data-phase", "live")


async def test_a_server_that_comes_back_is_found_again(page: Page, server: LiveServer) -> None:
    await play(page, "test-pattern")
    await next_code(page)
    server.stop()
    await expect(page.get_by_test_id("connection-state")).not_to_have_attribute("data-phase", "live", timeout=15_000)
    server.start()
    await expect(page.get_by_test_id("connection-state")).to_have_attribute("data-phase", "live", timeout=30_000)
    await next_code(page)


async def test_stop_ends_the_session(page: Page, server: LiveServer) -> None:
    await play(page, "test-pattern")
    await next_code(page)
    await page.keyboard.press("Space")
    await expect(page.get_by_test_id("connection-state")).to_have_attribute("data-phase", "idle", timeout=5_000)
    await page.wait_for_timeout(500)
    assert server.http.get("/api/v1/session/metrics").json()["sessions"] == {}


async def test_a_video_file_plays_through(page: Page, camera_clip: Path) -> None:
    await page.get_by_test_id("pipeline-select").select_option("passthrough")
    await page.get_by_test_id("input-select").select_option("file")
    await page.get_by_test_id("file-input").set_input_files(camera_clip)
    await page.get_by_test_id("play").click()
    first = (await next_code(page))[0]
    await page.wait_for_timeout(700)
    assert (await next_code(page))[0] != first


async def test_reset_begins_a_new_shot(page: Page) -> None:
    await play(page, "test-pattern")
    await next_code(page)
    await page.wait_for_timeout(2000)
    before = (await next_code(page))[0]
    await page.keyboard.press("r")
    await page.wait_for_timeout(500)
    assert (await next_code(page))[0] < before


async def test_no_input_is_said_on_the_stage(page: Page) -> None:
    await page.get_by_test_id("pipeline-select").select_option("passthrough")
    await page.get_by_test_id("input-select").select_option("none")
    await page.get_by_test_id("play").click()
    await expect(page.get_by_test_id("no-input")).to_be_visible(timeout=10_000)
    await page.get_by_test_id("input-select").select_option("pattern")
    await expect(page.get_by_test_id("no-input")).to_be_hidden(timeout=5_000)
    await next_code(page)


async def test_the_browser_shows_the_colours_that_were_meant(page: Page) -> None:
    """H.264 without its matrix written into the stream comes out up to 39 of 255 off."""
    await play(page, "test-pattern")
    await next_code(page)
    await page.wait_for_timeout(1500)
    line = (await colours(page)).astype(int)
    for name, meant in {"yellow": (191, 191, 0), "green": (0, 191, 0), "red": (191, 0, 0), "blue": (0, 0, 191)}.items():
        off = np.abs(line - meant).max(1).min()
        assert off <= 8, f"{name} is {off} off"


async def test_the_bundled_model_obeys_and_says_what_it_understood(page: Page) -> None:
    """From words to a generated picture of their colour, and another one when the words change."""
    await page.get_by_test_id("pipeline-select").select_option("nano")
    await page.get_by_test_id("input-select").select_option("none")
    await page.get_by_test_id("prompt").fill("red fire with a giraffe")
    await page.get_by_test_id("play").click()
    read = page.get_by_test_id("prompt-read")
    await expect(read).to_contain_text("Understood: red, fire.", timeout=20_000)
    await expect(read).to_contain_text("Not known: giraffe")
    assert await wait_colour(page, "red"), "the picture is red"
    await page.get_by_test_id("prompt").fill("blue ocean")
    await page.keyboard.press("Enter")
    await expect(read).to_contain_text("Understood: blue, ocean.", timeout=5_000)
    assert await wait_colour(page, "blue"), "the picture turns blue"


async def wait_colour(page: Page, name: str, timeout_s: float = 10.0) -> bool:
    """Whether one of red and blue comes to lead the other on the stage by half."""
    lead, other = (0, 2) if name == "red" else (2, 0)
    for _ in range(int(timeout_s * 10)):
        mean = (await colours(page)).astype(float).mean(0)
        if mean[lead] > 1.5 * mean[other] + 5:
            return True
        await page.wait_for_timeout(100)
    return False
