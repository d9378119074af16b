"""Images that clients name: read from the assets folder, and from nowhere else."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from scope.errors import BadInput, NotFound

KNOWN = 16
MOST_PIXELS = 40_000_000


class Images:
    """The latest ones stay in memory, until their files change."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._known: OrderedDict[tuple[Path, int], Tensor] = OrderedDict()

    def __call__(self, name: str) -> Tensor:
        """uint8 [H, W, 3]. Raises NotFound outside the folder or where there is nothing, BadInput for what is no image."""
        path = (self._root / name).resolve()  # an absolute name replaces the root, and is then checked like any other
        if not path.is_relative_to(self._root) or not path.is_file():
            raise NotFound(f"no image {name[:200]!r} among the assets")
        key = (path, path.stat().st_mtime_ns)
        if key not in self._known:
            self._known[key] = _read(path)
        self._known.move_to_end(key)
        while len(self._known) > KNOWN:
            self._known.popitem(last=False)
        return self._known[key]


def _read(path: Path) -> Tensor:
    try:
        with Image.open(path) as image:
            if image.width * image.height > MOST_PIXELS:
                raise BadInput(f"{path.name} has {image.width}x{image.height} pixels; that is too many")
            return torch.from_numpy(np.array(image.convert("RGB")))
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise BadInput(f"{path.name} is not an image: {error}") from error
