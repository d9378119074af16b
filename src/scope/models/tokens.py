"""Prompts to token ids, with the text cleaning the Wan models were trained with (models-wan.md section 14)."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from scope.errors import NotFound, Unavailable

PAD, END = 0, 1
LENGTH = 512  # tokens, the end mark included
EXTRA = "text"

Ids = list[int]


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """`pieces` turns clean text into ids without any mark at the end."""

    pieces: Callable[[str], Ids]
    length: int = LENGTH

    def __call__(self, text: str) -> Ids:
        """The cleaned text's ids, cut so that the end mark still fits, and the end mark. Not padded."""
        return [*self.pieces(clean(text))[: self.length - 1], END]


def clean(text: str) -> str:
    """Broken encodings mended, HTML entities resolved (twice), white space runs made single spaces, none at the ends.

    Raises Unavailable when ftfy is not installed.
    """
    mended: str = _wanted("ftfy").fix_text(text)
    return re.sub(r"\s+", " ", html.unescape(html.unescape(mended)).strip()).strip()


def load_tokenizer(folder: Path) -> Tokenizer:
    """From the files of a Hugging Face tokenizer: `tokenizer.json`, else `spiece.model`.

    Raises NotFound when neither is there, Unavailable when the package that reads it is not installed.
    """
    if (file := folder / "tokenizer.json").is_file():
        fast: Any = _wanted("tokenizers").Tokenizer.from_file(str(file))
        fast.no_truncation()
        fast.no_padding()
        return Tokenizer(lambda text: list(fast.encode(text, add_special_tokens=False).ids))
    if (file := folder / "spiece.model").is_file():
        model: Any = _wanted("sentencepiece").SentencePieceProcessor(model_file=str(file))
        return Tokenizer(lambda text: list(model.encode(text)))
    raise NotFound(f"no tokenizer.json or spiece.model in {folder}")


def padded(batch: Sequence[Ids]) -> tuple[list[Ids], list[list[bool]]]:
    """Ids made equally long, and which of them are real."""
    longest = max(map(len, batch))
    ids = [[*row, *[PAD] * (longest - len(row))] for row in batch]
    return ids, [[i < len(row) for i in range(longest)] for row in batch]


def _wanted(package: str) -> ModuleType:
    try:
        return import_module(package)
    except ImportError as error:
        raise Unavailable(f"prompts need the package {package}: pip install 'scope-live[{EXTRA}]'") from error
