"""VACE: a second stack of blocks that turns a control context into hints for the first (models-stream.md section 9.1).

Keys are those of the published module (`vace_patch_embedding.*`, `vace_blocks.*`). Shape suffixes: B batch, F latent frames,
C channels, H W latent rows and columns, L tokens per frame, T text tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from scope.errors import BadInput
from scope.models.attention import Attend
from scope.models.cache import TextMemory
from scope.models.rope import Grid
from scope.models.wan import Block, WanConfig, patch_tokens, read_text
from scope.models.whole import WholeClip

CONTEXT_CHANNELS = 96  # 16 inactive, 16 reactive, 64 mask


class HintBlock(Block):
    """An ordinary block with the projections that connect it: into the stack (first block only) and out to the main network."""

    def __init__(self, config: WanConfig, *, first: bool) -> None:
        super().__init__(config)
        self.before_proj = nn.Linear(config.dim, config.dim) if first else None
        self.after_proj = nn.Linear(config.dim, config.dim)


class VaceBranch(nn.Module):
    """The hint network. Block i answers after main layer `layers[i]`: evenly spread from 0 unless told otherwise."""

    def __init__(self, config: WanConfig, blocks: int, *, layers: tuple[int, ...] | None = None) -> None:
        """Raises BadInput if there is not one main layer for every block."""
        super().__init__()
        self.layers = layers or tuple(range(0, config.layers, max(1, config.layers // blocks)))[:blocks]
        if len(self.layers) != blocks or max(self.layers) >= config.layers:
            raise BadInput(f"{blocks} hint blocks cannot be laid on layers {self.layers} of {config.layers}")
        self.vace_patch_embedding = nn.Conv3d(CONTEXT_CHANNELS, config.dim, (1, 2, 2), (1, 2, 2))
        self.vace_blocks = nn.ModuleList(HintBlock(config, first=i == 0) for i in range(blocks))

    def tokens(self, context_BFCHW: Tensor) -> Tensor:
        """Patched context [B, F, L, C]; does not depend on the video, so once per chunk is enough.

        Raises BadInput if the context has not 96 channels.
        """
        if context_BFCHW.shape[2] != CONTEXT_CHANNELS:
            raise BadInput(f"control context has {context_BFCHW.shape[2]} channels, not {CONTEXT_CHANNELS}")
        return patch_tokens(context_BFCHW, self.vace_patch_embedding)

    def read(self, hidden_BTC: Tensor) -> TextMemory:
        """The prompt (`WanTransformer.embed_text`) for every hint block; once per prompt."""
        return read_text(self.vace_blocks, hidden_BTC)


@dataclass(frozen=True, slots=True)
class Control:
    """What steers one chunk. zero_keys_to=128 repeats Scope's unmasked zero padding of the branch's self-attention."""

    branch: VaceBranch
    tokens_BFLC: Tensor
    text: TextMemory
    scale: float = 1.0
    zero_keys_to: int = 1

    def hints(self, y_BFLC: Tensor, time_BFMC: Tensor, grid: Grid, attend: Attend) -> Mapping[int, Tensor]:
        """Hints [B, F, L, C] by main layer; frames of the context beyond the video's are cut, missing ones are zero."""
        frames = y_BFLC.shape[1]
        view = WholeClip(grid, frames, device=y_BFLC.device, zero_keys_to=self.zero_keys_to)
        c_BFLC = pad(self.tokens_BFLC[:, :frames], (0, 0, 0, 0, 0, max(0, frames - self.tokens_BFLC.shape[1])))
        found: dict[int, Tensor] = {}
        for i, layer in enumerate(self.branch.layers):
            block = cast(HintBlock, self.branch.vace_blocks[i])
            if block.before_proj is not None:
                c_BFLC = block.before_proj(c_BFLC) + y_BFLC
            c_BFLC = block(c_BFLC, time_BFMC, lambda q, k, v: view.look(0, q, k, v), (self.text.k[i], self.text.v[i]), attend)
            found[layer] = torch.mul(block.after_proj(c_BFLC), self.scale)
        return found
