"""Frames in and out against the original."""

from __future__ import annotations

import pytest

from scope.models.pictures import to_unit, to_video
from tests.golden.case import Case

ATOL = 5e-6


@pytest.mark.golden("11_")
def test_frames_in(case: Case) -> None:
    for name, given in case.config.items():
        pictures = list(case.tensors[f"{name}.frames"].numpy())
        size = {"frames": given["target_num_frames"], "height": given["height"], "width": given["width"]}
        case.close(to_video(pictures, **size), f"{name}.video", atol=ATOL)


@pytest.mark.golden("11_")
def test_frames_out(case: Case) -> None:
    case.close(to_unit(case.tensors["post.in"]), "post.out", atol=ATOL)
