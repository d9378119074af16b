"""What every video codec here has in common: the state of one stream, its rules at the edges, and the two methods.

Shape suffixes: B batch, C channels, T pixel frames, H W pixels, F latent frames, h w latent rows and columns.
The first latent of a stream stands for one pixel frame, each later one for `frames_per_latent` (models-wan.md section 12).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import torch
from torch import Tensor

Past = dict[str, Tensor]  # layer name -> the last input frames it has seen; entries are replaced, never written into


@dataclass(frozen=True, slots=True)
class Rules:
    """What a stream does where the original's choices can be argued with.

    tail: frames that do not fill a latent are held for the next call (`hold`: chunked equals whole), or dropped by the Wan VAE
        and made up by repeating the last frame in the tiny one (`original`, models-wan.md sections 12 and 13).
    fresh: encoder and decoder each know whether they are at the start (`own`), or one flag that only a decode clears serves
        both, so that every encode before the first decode starts over (`until_decode`, models-wan.md section 12).
    """

    tail: Literal["hold", "original"] = "hold"
    fresh: Literal["own", "until_decode"] = "own"


RIGHT = Rules()
SCOPE = Rules(tail="original", fresh="until_decode")  # as Scope 0.2.4 behaves


@dataclass(slots=True)
class CodecState:
    """Everything that changes while one stream is encoded and decoded; the weights are shared and never change."""

    rules: Rules = RIGHT
    encoder: Past = field(default_factory=dict)
    decoder: Past = field(default_factory=dict)
    held: Tensor | None = None  # pixel frames [B,C,T,H,W] waiting for their latent to fill up
    encoding: bool = False  # something was encoded since the last reset
    decoding: bool = False

    def reset(self) -> None:
        """The next encode and the next decode begin a new stream."""
        self.encoder, self.decoder, self.held = {}, {}, None
        self.encoding = self.decoding = False

    def snapshot(self) -> CodecState:
        """A copy that later calls on this state do not touch; it continues bit for bit where this one stands."""
        return replace(self, encoder=dict(self.encoder), decoder=dict(self.decoder))

    def begin_encode(self) -> bool:
        """Call before encoding; True at the start of a stream."""
        if self.rules.fresh == "until_decode" and not self.decoding:
            self.encoder, self.held, self.encoding = {}, None, False
        first, self.encoding = not self.encoding, True
        return first

    def begin_decode(self) -> bool:
        """Call before decoding; True at the start of a stream."""
        first, self.decoding = not self.decoding, True
        return first

    def with_held(self, x_BCTHW: Tensor) -> Tensor:
        """The frames held back by the last call, then the new ones."""
        frames, self.held = (x_BCTHW if self.held is None else torch.cat([self.held, x_BCTHW], 2)), None
        return frames

    def hold(self, x_BCTHW: Tensor) -> None:
        self.held = x_BCTHW.clone() if x_BCTHW.shape[2] else None


class Codec(Protocol):
    """Pixels to latents and back, streaming when given a state, a whole clip when not."""

    frames_per_latent: int
    pixels_per_cell: int  # height and width of the picture must be multiples of this

    def open(self, rules: Rules = RIGHT) -> CodecState: ...

    def encode(self, x_BCTHW: Tensor, state: CodecState | None = None) -> Tensor:
        """Pixels [B,3,T,H,W] in [-1,1] to latents [B,F,C,h,w] (this order is the transformer's)."""

    def decode(self, z_BFChw: Tensor, state: CodecState | None = None) -> Tensor:
        """Latents [B,F,C,h,w] to pixels [B,T,3,H,W] clamped to [-1,1]."""
