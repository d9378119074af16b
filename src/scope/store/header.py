"""What a LoRA file says about itself, read from its first bytes: no tensor is loaded (safetensors puts all names in front)."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from scope.errors import BadInput
from scope.published import BASES

HEADER_LIMIT_BYTES = 64 << 20
WORDS_LIMIT, WORD_CHARS = 10, 200
WIDTHS = {"Wan2.1 1.3B": (1536, 8960), "Wan2.1 14B": (5120, 13824), "Wan2.2 5B": (3072, 14336)}  # of tokens, within a layer
WAN_LAYER = re.compile(r"(?:^|[._])(?<!transformer_)blocks[._]\d+[._](?:self_attn|cross_attn|attn1|attn2|ffn)[._]")
FLAT = re.compile(r"^lora_(?:unet|transformer)_+")
HALF = re.compile(r"[._]lora_(down|up|A|B)(?:\.default)?(?:\.weight)?$")
WORD_KEYS = ("modelspec.trigger_phrase", "trigger_words", "trigger_word", "trigger", "ss_trigger_words", "activation_text")
BASE_KEYS = ("ss_base_model_version", "modelspec.architecture", "base_model", "baseModel", "ss_sd_model_name", "model")


@dataclass(frozen=True, slots=True)
class Header:
    """Names, shapes and free text."""

    shapes: Mapping[str, tuple[int, ...]]
    notes: Mapping[str, str]
    file_bytes: int  # what the file must have


@dataclass(frozen=True, slots=True)
class About:
    """What a LoRA was made for."""

    base_model: str | None = None  # of the shapes where they tell, else what the file claims
    pipelines: tuple[str, ...] = ()  # that it fits
    rank: int | None = None
    trigger_words: tuple[str, ...] = ()
    problem: str | None = None  # why it cannot be used, in one sentence


def read(path: Path) -> Header:
    """Raises BadInput for what is no whole safetensors file; OSError."""
    with path.open("rb") as file:
        first = file.read(8)
        if len(first) < 8 or not 2 <= (size := struct.unpack("<Q", first)[0]) <= HEADER_LIMIT_BYTES:
            raise BadInput(f"{path.name} is not a safetensors file.")
        text = file.read(size)
    try:
        found = json.loads(text)
        shapes, notes, end = _parse(found)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadInput(f"{path.name} is not a safetensors file.") from error
    return Header(shapes, notes, 8 + size + end)


def _parse(found: Any) -> tuple[dict[str, tuple[int, ...]], dict[str, str], int]:
    notes = {str(name): str(value) for name, value in found.pop("__metadata__", {}).items()}
    shapes = {name: tuple(int(side) for side in about["shape"]) for name, about in found.items()}
    end = max((int(about["data_offsets"][1]) for about in found.values()), default=0)
    return shapes, notes, end


def check(path: Path) -> None:
    """Raises BadInput unless the file is a whole safetensors file with LoRA weights in it."""
    header = read(path)
    if header.file_bytes != path.stat().st_size:
        raise BadInput(f"{path.name} is cut off: {path.stat().st_size:,} of {header.file_bytes:,} bytes.")
    if not any(HALF.search(name) for name in header.shapes):
        raise BadInput(f"{path.name} holds no LoRA weights.")


def about(path: Path) -> About:
    """What is known of a file; never raises, since one bad file must not hide the others."""
    try:
        header = read(path)
        if header.file_bytes != path.stat().st_size:
            return About(problem="The file is cut off or still being copied.")
        return describe(header)
    except (BadInput, OSError):
        return About(problem="The file cannot be read as safetensors.")


def describe(header: Header) -> About:
    halves = {
        name: (match[1], shape) for name, shape in header.shapes.items() if (match := HALF.search(name)) and len(shape) >= 2
    }
    words = _words(header.notes)
    claimed = next((header.notes[key][:WORD_CHARS] for key in BASE_KEYS if header.notes.get(key)), None)
    if not halves:
        return About(claimed, trigger_words=words, problem="The file holds no LoRA weights.")
    ranks = [shape[0] for half, shape in halves.values() if half in ("down", "A")]
    base = _base(halves)
    pipelines = tuple(name for name, wanted in BASES.items() if wanted == base)
    problem = None if pipelines else f"It was made for {base or claimed or 'another model'}, which no pipeline here is."
    return About(base or claimed, pipelines, max(ranks, default=None), words, problem)


def _base(halves: Mapping[str, tuple[str, tuple[int, ...]]]) -> str | None:
    """By the widths of the layers it changes; None for another kind of network."""
    changed = {name: found for name, found in halves.items() if WAN_LAYER.search(FLAT.sub("", name))}
    if len(changed) * 2 < len(halves):
        return None
    widths = {shape[1] if half in ("down", "A") else shape[0] for half, shape in changed.values()}
    fitting = [base for base, known in WIDTHS.items() if widths & set(known)]
    return fitting[0] if len(fitting) == 1 else None


def _words(notes: Mapping[str, str]) -> tuple[str, ...]:
    """Written down by the trainer, or else what every caption had."""
    said = next((notes[key] for key in WORD_KEYS if notes.get(key)), None)
    if said is not None:
        listed = _listed(said)
        return clean_words(listed if listed is not None else said.split(","))
    return clean_words(_everywhere(notes))


def _listed(text: str) -> list[str] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return [str(word) for word in found] if isinstance(found, list) else None


def _everywhere(notes: Mapping[str, str]) -> Iterable[str]:
    """The tags that as many captions have as there are pictures."""
    try:
        folders = json.loads(notes.get("ss_tag_frequency", "{}")).values()
        counts = {str(tag).strip(): int(number) for folder in folders for tag, number in folder.items()}
        pictures = int(notes.get("ss_num_train_images", 0))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return ()
    return [tag for tag, number in counts.items() if number >= max(pictures, 2) and len(tag) <= 60]


def clean_words(words: Iterable[object]) -> tuple[str, ...]:
    """Short, printable, each once."""
    tidy = ("".join(char for char in str(word) if char.isprintable()).strip()[:WORD_CHARS] for word in words)
    return tuple(islice(dict.fromkeys(word for word in tidy if word), WORDS_LIMIT))
