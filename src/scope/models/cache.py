"""What a stream remembers between forward passes, as data: how many frames, which stay, what leaving does, how positions run.

`CachePolicy` is the row a pipeline declares; `place` is the whole bookkeeping of one forward pass, in frames and plain
integers, so nothing in the pass itself depends on data. `memory.py` holds the tensors. (models-wan.md section 5,
models-stream.md sections 3 and 6 to 8.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from scope.errors import BadInput, BadParams

Kind = Literal["first", "step", "clean", "recache"]


@dataclass(frozen=True, slots=True)
class BankPolicy:
    """MemFlow's bank of past frames (models-stream.md section 8.3): chosen by the prompt, seen on top of the window."""

    size: int = 3
    interval: int = 3  # chunks between two entries, as the reading side counts
    record_every: int = 3  # chunks between two recordings
    count: Literal["chunks", "frames"] = "chunks"  # "frames": the original's rule, which a 4-frame first chunk breaks


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """Behaviour of the self-attention memory, in latent frames. Named faults of the originals are options here, off by default.

    Raises BadParams for a row that cannot work.
    """

    window: int  # frames a query can see, sink included
    sink: int = 0  # first frames that never leave
    chunk: int = 3  # frames of a usual call
    on_evict: Literal["forget", "blend"] = "forget"  # blend: leaving frames are averaged into the sink
    blend: float = 0.999
    positions: Literal["absolute", "relative"] = "absolute"  # relative: keys are kept unrotated and numbered 0.. at read
    protect_sink: bool = False  # older frames that come again leave the sink alone; the newest chunk may be in it
    recache_sink: Literal["keep", "rewrite"] = "keep"  # what a prompt switch does to the sink
    deferred: bool = False  # only clean and recache passes move the counters
    bank: BankPolicy | None = None
    zero_keys_to: int = 1  # parity with Krea: pad keys with unmasked zeros to this multiple where a bias is applied

    def __post_init__(self) -> None:
        if not 0 <= self.sink < self.window:
            raise BadParams(f"a sink of {self.sink} frames does not fit a window of {self.window}")
        if self.chunk > self.window - self.sink:
            raise BadParams(f"chunks of {self.chunk} frames do not fit a window of {self.window} with a sink of {self.sink}")
        if self.bank and self.zero_keys_to > 1:
            raise BadParams("a bank and zero keys cannot be combined")


@dataclass(frozen=True, slots=True)
class Call:
    """What one forward pass is to the memory: latent frames [start, start + frames), and why it runs.

    first: first denoising step of a chunk; step: a later one; clean: final latents at t = 0; recache: old latents, new prompt.
    bias: factor on the weights of the damped keys (Krea, models-stream.md 6.3); 1 is plain attention.
    """

    start: int
    frames: int
    kind: Kind = "step"
    bias: float = 1.0

    @property
    def end(self) -> int:
        return self.start + self.frames


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call's frames go. Slots are physical places; `order` lists them oldest first, as they will be after the call."""

    order: tuple[int, ...]
    end: int  # frames of video so far, after the call
    evicted: tuple[int, ...]  # slots whose frames leave, oldest first
    skip: int  # leading frames of the call that are not stored (they would overwrite the sink)
    frames: int

    @property
    def targets(self) -> tuple[int, ...]:
        """Slots written, in frame order."""
        return self.order[len(self.order) - self.frames + self.skip :]

    @property
    def first_position(self) -> int:
        """Place of the call's first frame in `order`: its position where positions are relative."""
        return len(self.order) - self.frames


def place(policy: CachePolicy, order: tuple[int, ...], end: int, call: Call) -> Place:
    """The rolling rule, shared by every policy. Pure: same arguments, same answer.

    Raises BadInput if the frames do not fit the window or leave a gap after what is remembered.
    """
    overflow = len(order) + call.frames - policy.window if call.end > end else 0
    leaving = max(0, overflow)
    filled = len(order) + call.end - end - leaving
    crowded = filled > policy.window or policy.sink + leaving > max(len(order), policy.sink)
    if crowded or filled < call.frames or call.start > end:
        raise BadInput(
            f"frames {call.start}..{call.end - 1} do not fit: {len(order)} remembered up to {end}, window {policy.window}"
        )
    evicted = order[policy.sink : policy.sink + leaving]
    kept = (order[: policy.sink] + order[policy.sink + leaving :])[:filled]
    free = evicted + tuple(sorted(set(range(policy.window)) - set(order))) + tuple(reversed(order[filled:]))
    new_order = kept + tuple(s for s in free if s not in kept)[: filled - len(kept)]
    rewrite = call.end <= end and call.start > 0
    newest = call.end == end and call.kind != "recache"  # a chunk shorter than the sink writes its own frames again and again
    guarded = rewrite and policy.protect_sink and not newest and not (call.kind == "recache" and policy.recache_sink == "rewrite")
    skip = min(call.frames, max(0, policy.sink - (filled - call.frames))) if guarded else 0
    return Place(new_order, end if rewrite else call.end, evicted, skip, call.frames)


def frame_bias(place: Place, policy: CachePolicy, bias: float, slots: Sequence[int]) -> list[float]:
    """Additive score for the frames in these slots: ln(bias) for all but the oldest frame and the chunk in progress (6.3)."""
    damped = place.order[1 : max(1, len(place.order) - policy.chunk)]
    return [math.log(bias) if slot in damped else 0.0 for slot in slots]


@dataclass(slots=True)
class TextMemory:
    """Keys and values of the prompt for every layer, [B, text tokens, N, D] each: computed once per prompt, read every step."""

    k: list[Tensor]
    v: list[Tensor]

    def take(self, other: TextMemory) -> None:
        """Copy another prompt's keys and values in place, so that a captured graph keeps its addresses."""
        for mine, theirs in zip(self.k + self.v, other.k + other.v, strict=True):
            mine.copy_(theirs)
