"""A nano autoencoder that is the best linear code of its blocks before its first training step.

From random weights these small autoencoders stall at flat pictures (README). So the affine maps of `NANO_VAE` are set in
closed form: the encoder to principal components of space-time blocks, the decoder to the least-squares way back from a latent
and the one before it; the decoder's network begins silent and learns what is missing.
Suffixes: N samples, I values of a block, K latent channels, J what the way back reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scope.models.tiny_vae import Fold, Memory, TinyVae


def quiet(vae: TinyVae) -> None:
    """Residual branches begin at zero, and so does what the network adds to the picture."""
    lasts = [module.conv[4] for module in vae.decoder if isinstance(module, Memory)]
    for last in (*lasts, vae.decoder[-1]):
        conv = cast(nn.Conv2d, last)
        nn.init.zeros_(conv.weight)
        nn.init.zeros_(cast(Tensor, conv.bias))


@torch.no_grad()
def begin_linear(vae: TinyVae, clips: Iterable[Tensor]) -> None:
    """Set every weight from clips [C,T,H,W] of pixels in [-1,1]: sides multiples of the cell, two latents long or more.

    A channel's spread is the square root of its component's, so that colour leads in the denoising; together they have spread 1.
    """
    quiet(vae)
    kept = [_blocks(vae, clip) for clip in clips]
    rows_NI = torch.cat([blocks.flatten(0, 1) for blocks in kept])
    fold, unfold = cast(Fold, vae.encoder[0]).conv, vae.straight
    assert unfold is not None, "only for a straight code"
    mean = rows_NI.mean(0)
    centred = rows_NI - mean
    values, vectors = torch.linalg.eigh((centred.T @ centred / len(centred)).double())
    best = values.argsort(descending=True)[: fold.out_channels]
    sd = values[best].sqrt().float()
    weight_KI = vectors[:, best].T.float() * (sd.sqrt() / sd.mean().sqrt() / sd)[:, None]
    fold.weight.copy_(weight_KI[:, :, None, None])
    cast(Tensor, fold.bias).copy_(-(weight_KI @ mean))
    _way_back(unfold.conv, kept, weight_KI, mean)


def _blocks(vae: TinyVae, clip_CTHW: Tensor) -> Tensor:
    """[F, cells, I], in the order in which Fold reads."""
    fold = cast(Fold, vae.encoder[0])
    x = F.pixel_unshuffle((clip_CTHW.transpose(0, 1) + 1) / 2, vae.config.patch)
    y = F.pixel_unshuffle(x, fold.side)
    return y.reshape(-1, y.shape[1] * fold.time, *y.shape[2:]).flatten(2).transpose(1, 2)


def _way_back(conv: nn.Conv2d, kept: list[Tensor], weight_KI: Tensor, mean: Tensor) -> None:
    wide = 2 * len(weight_KI) + 1
    squares, crosses = torch.zeros(wide, wide, dtype=torch.float64), torch.zeros(wide, len(mean), dtype=torch.float64)
    for blocks in kept:
        z = (blocks - mean) @ weight_KI.T
        seen_NJ = torch.cat([z[1:], z[:-1], torch.ones_like(z[1:, :, :1])], 2).flatten(0, 1)
        squares += (seen_NJ.T @ seen_NJ).double()
        crosses += (seen_NJ.T @ blocks[1:].flatten(0, 1)).double()
    solved = torch.linalg.solve(squares + 1e-3 * torch.eye(wide, dtype=torch.float64), crosses).float()
    conv.weight.copy_(solved[:-1].T[:, :, None, None])
    cast(Tensor, conv.bias).copy_(solved[-1])
