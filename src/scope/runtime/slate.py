"""What is shown while there is no picture yet: words on a dark ground instead of black."""

from __future__ import annotations

import textwrap

import numpy as np

from scope.frame import Frame

GROUND, INK = 24, 168


def slate(text: str, width: int, height: int) -> Frame:
    """`text` in the middle of a dark picture of even size."""
    from PIL import Image, ImageDraw, ImageFont  # loaded with the first slate; an idle server needs none

    width, height = max(64, width // 2 * 2), max(64, height // 2 * 2)
    size = max(10, height // 18)
    image = Image.new("RGB", (width, height), (GROUND, GROUND, GROUND + 6))
    lines = textwrap.fill(text, max(12, int(width / (size * 0.6))))
    ImageDraw.Draw(image).multiline_text(
        (width / 2, height / 2), lines, fill=(INK, INK, INK), font=ImageFont.load_default(size), anchor="mm", align="center"
    )
    return Frame.from_rgb(np.asarray(image), 0.0)
