"""Prompts to embeddings: tokens, encoder, the prompts already known, and where the weights wait in between.

Shape suffixes: B prompts, L token rows (padded to the transformer's 512), D channels.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from scope.errors import BadInput, NotFound
from scope.models.quantize import FP8, Quantisation, quantise
from scope.models.tokens import Tokenizer, padded
from scope.models.umt5 import UMT5_XXL, Narrow, Umt5, Umt5Config
from scope.models.weights import load, on_meta
from scope.published import FILES

Storage = Literal["full", "fp8", "int8"]  # how the linear weights are kept; all compute in `dtype`
Rest = Literal["stay", "host", "unload"]  # between prompts: on the device, in main memory, or nowhere
KNOWN = 64  # prompts whose embedding is remembered


class TextEncoder:
    """Encodes prompts it has not seen lately. One caller at a time.

    `device` is where the encoder computes and may be the CPU; `rest` is what happens to its weights afterwards: with `unload`
    they are read from the file again for the next new prompt, so that a small GPU is left to the video model.
    """

    def __init__(
        self,
        make: Callable[[], Umt5],
        tokenizer: Tokenizer,
        *,
        device: torch.device | str = "cpu",
        rest: Rest = "stay",
        known: int = KNOWN,
    ) -> None:
        self._make, self._tokenizer = make, tokenizer
        self._device, self._rest, self._room = torch.device(device), rest, known
        self._model: Umt5 | None = None
        self._known: OrderedDict[str, Tensor] = OrderedDict()  # prompt -> [L,D], only its own rows; oldest use first

    def embed(self, prompts: Sequence[str]) -> list[Tensor]:
        """One [1,512,D] embedding per prompt, rows past its end zero, on the encoder's device.

        Raises BadInput for no prompts, and what loading weights or tokenizer raises.
        """
        if not prompts:
            raise BadInput("no prompts to encode; give at least one, it may be empty")
        found = {prompt: self._known[prompt] for prompt in prompts if prompt in self._known}
        if new := [prompt for prompt in dict.fromkeys(prompts) if prompt not in found]:
            found |= dict(zip(new, self._encode(new), strict=True))
        for prompt in prompts:
            self._remember(prompt, found[prompt])
        length = self._tokenizer.length
        return [F.pad(found[prompt], (0, 0, 0, length - found[prompt].shape[0]))[None] for prompt in prompts]

    def unload(self) -> None:
        """Let go of the weights now; known prompts stay known."""
        self._model = None

    @torch.no_grad()
    def _encode(self, prompts: list[str]) -> list[Tensor]:
        ids, present = padded([self._tokenizer(prompt) for prompt in prompts])
        model = self._ready()
        present_BL = torch.tensor(present, device=self._device)
        rows_BLD = model(torch.tensor(ids, device=self._device), present_BL)
        own = [rows[mask].clone() for rows, mask in zip(rows_BLD, present_BL, strict=True)]
        if self._rest == "host":
            model.to("cpu")
        elif self._rest == "unload":
            self.unload()
        return own

    def _ready(self) -> Umt5:
        if self._model is None:
            self._model = self._make()
        return self._model.to(self._device)

    def _remember(self, prompt: str, rows_LD: Tensor) -> None:
        self._known[prompt] = rows_LD
        self._known.move_to_end(prompt)
        while len(self._known) > self._room:
            self._known.popitem(last=False)


def load_umt5(
    path: Path,
    *,
    config: Umt5Config = UMT5_XXL,
    device: torch.device | str = "cpu",
    storage: Storage = "full",
    dtype: torch.dtype = torch.bfloat16,
) -> Umt5:
    """The encoder from any published file. Embedding, norms and position tables are always in `dtype`.

    `fp8` keeps plain unscaled e4m3 linear weights, as the fp8 file has them, and widens each when it is used.
    Raises NotFound without a file, BadInput when it is not this encoder's.
    """
    model = on_meta(lambda: Umt5(config))
    linear = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, Narrow)}

    def kind(name: str, _stored: torch.dtype) -> torch.dtype:
        return FP8 if storage == "fp8" and name in linear else dtype

    report = load(model, path, device=device, dtype=kind)
    if report.unexpected:  # such as the scales of other fp8 files, without which the weights mean something else
        raise BadInput(f"{path.name} is not this encoder's: {report}")
    if storage == "int8":
        quantise(model, Quantisation("int8", keep=()))
    return model


def text_weights(models_dir: Path) -> Path:
    """The text encoder's file on this machine, the small one first. Raises NotFound when there is none."""
    rows = [FILES["umt5-fp8"], FILES["umt5-bf16"]]
    for row in rows:
        if (path := row.under(models_dir)).is_file():
            return path
    choices = " or ".join(f"{row.file} from {row.repo} (about {row.megabytes:,} MB)" for row in rows)
    raise NotFound(f"no text encoder under {models_dir}; fetch {choices}")
