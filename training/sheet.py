"""Contact sheets: pictures side by side with a line of text, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor


def sheet(rows: Sequence[tuple[str, Tensor]], path: Path, *, columns: int, across: int = 1) -> None:
    """Each row: its caption and uint8 pictures [N,H,W,C], of which `columns` are shown; `across` rows lie side by side."""
    strips = []
    for caption, pictures in rows:
        chosen = torch.linspace(0, len(pictures) - 1, columns).round().long()
        strip = Image.fromarray(torch.cat(list(pictures[chosen]), 1).cpu().numpy())
        ImageDraw.Draw(strip).text((4, 3), caption, fill="white", stroke_width=1, stroke_fill="black")
        strips.append(strip)
    wide, high = strips[0].size
    down = -(-len(strips) // across)
    page = Image.new("RGB", (wide * across, high * down))
    for place, strip in enumerate(strips):
        page.paste(strip, (place // down * wide, place % down * high))
    path.parent.mkdir(parents=True, exist_ok=True)
    page.save(path)
