"""Hours: no cut, flat memory, constant step time; an hour of LongLive at 15 fps, and past frame 1,024 for all."""

from __future__ import annotations

import gc
from statistics import median
from time import thread_time

import psutil
import pytest
import torch

from tests.pipelines.small import said, tiniest

HOUR = 3600 * 15 // 12  # chunks of twelve frames
WARM = 150  # chunks until every buffer is full and every size has been seen
GROWTH = 8 << 20  # bytes of the whole process


def tensors_alive() -> int:
    gc.collect()
    return sum(issubclass(type(found), torch.Tensor) for found in gc.get_objects())


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("name", "chunks"),
    [("longlive", HOUR), ("streamdiffusionv2", 1300), ("krea-realtime-video", 450), ("reward-forcing", 450), ("memflow", 450)],
)
def test_a_long_run_neither_grows_nor_cuts_nor_slows_down(name: str, chunks: int) -> None:
    running, process = tiniest(name), psutil.Process()
    took_s: list[float] = []
    before, memory, rss = 0, 0, 0
    params = [said(prompts=text, denoising_step_list=[1000, 500]) for text in ("a cat", "a dog")]
    for chunk in range(chunks):
        begun_s = thread_time()
        running.step(params[chunk // 400 % 2], ())
        took_s.append(thread_time() - begun_s)
        assert running.start > before, "a cut"
        before = running.start
        if chunk == WARM:
            memory, rss = tensors_alive(), process.memory_info().rss
    assert running.start > 1024 and running.past is not None and bool(running.past.isfinite().all())
    assert tensors_alive() <= memory + 10  # a leak would be one per chunk
    assert process.memory_info().rss - rss < GROWTH
    assert median(took_s[-100:]) < 1.6 * median(took_s[WARM : WARM + 100])
