"""LoRA files as trainers write them."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path


def safetensors(shapes: Mapping[str, tuple[int, ...]], notes: Mapping[str, str] | None = None) -> bytes:
    """Real files, with tensors of zeros in one byte per number."""
    head: dict[str, object] = {"__metadata__": dict(notes)} if notes else {}
    end = 0
    for name, shape in shapes.items():
        size = 1
        for side in shape:
            size *= side
        head[name] = {"dtype": "I8", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)


def lora(
    width: int = 1536, inner: int = 8960, rank: int = 4, *, form: str = "peft", notes: Mapping[str, str] | None = None
) -> bytes:
    stem, down, up = {
        "peft": ("diffusion_model.blocks.0.{}", "lora_A.weight", "lora_B.weight"),
        "kohya": ("lora_unet_blocks_0_{}", "lora_down.weight", "lora_up.weight"),
        "diffusers": ("transformer.blocks.0.{}", "lora_A.default.weight", "lora_B.default.weight"),
    }[form]
    layers = {"peft": "self_attn.q ffn.0", "kohya": "self_attn_q ffn_0", "diffusers": "attn1.to_q ffn.net.0.proj"}[form].split()
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, out in zip(layers, (width, inner), strict=True):
        shapes[f"{stem.format(layer)}.{down}"] = (rank, width)
        shapes[f"{stem.format(layer)}.{up}"] = (out, rank)
    return safetensors(shapes, notes)


def put(path: Path, content: bytes | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lora() if content is None else content)
    return path
