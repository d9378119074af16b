"""A tiny VAE that is a linear code before its first training step.

From random weights these small autoencoders stall at flat pictures (see README). So every layer starts as principal components
of what reaches it, shifted above zero where a ReLU follows: the whole network is then an affine code of space-time blocks, and
training only has to improve on it. One channel of every layer carries the constant 1, because most layers have no bias.

Suffixes: N samples, K components, I inputs of a layer, O outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scope.models.tiny_vae import Memory, Pool, Spread, TinyVae

MARGIN = 0.4  # how far above zero the lowest value seen is lifted
RMS = 0.45  # of the latents: the decoder's tanh bound hardly bends them


def quiet(vae: TinyVae) -> None:
    """Residual branches begin at zero."""
    for module in vae.modules():
        if isinstance(module, Memory):
            last = cast(nn.Conv2d, module.conv[4])
            nn.init.zeros_(last.weight)
            nn.init.zeros_(cast(Tensor, last.bias))


@torch.no_grad()
def begin_linear(vae: TinyVae, clips_BCTHW: Tensor) -> None:
    """Set every weight from a few clips of pixels in [-1,1], sides multiples of the cell, lengths of `frames_per_latent`."""
    quiet(vae)
    frames = F.pixel_unshuffle((clips_BCTHW.transpose(1, 2).flatten(0, 1) + 1) / 2, vae.config.patch)
    x = frames
    layers = list(vae.encoder)
    for place, layer in enumerate(layers):
        if isinstance(layer, Pool):
            n, c, h, w = x.shape
            wide = x.reshape(n // layer.time, c * layer.time, h, w)
            _compress(layer.conv, wide, const=c - 1)
            x = layer(x)
        elif isinstance(layer, nn.Conv2d):
            first, last = place == 0, place == len(layers) - 1
            taps = _taps(layer, x)
            if last:
                _latent(layer, taps)
            else:
                _compress(layer, taps, const=None if first else (x.shape[1] - 1) * _count(layer))
            x = layer(x)
    _begin_decoder(vae, x, frames)


def _count(conv: nn.Conv2d) -> int:
    return 4 if conv.stride[0] == 2 else 1


def _taps(conv: nn.Conv2d, x_NCHW: Tensor) -> Tensor:
    """The inputs of a convolution that its linear start reads, side by side: [N, I*taps, h, w], tap fastest."""
    return F.pixel_unshuffle(x_NCHW, 2) if conv.stride[0] == 2 else x_NCHW


def _samples(x_NCHW: Tensor, most: int = 40_000) -> Tensor:
    rows = x_NCHW.permute(0, 2, 3, 1).reshape(-1, x_NCHW.shape[1])
    step = max(1, len(rows) // most)
    return rows[::step].double()


def _components(rows_NI: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, directions [K, I] and standard deviations of the strongest components."""
    mean = rows_NI.mean(0)
    values, vectors = torch.linalg.eigh((rows_NI - mean).T @ (rows_NI - mean) / len(rows_NI))
    best = values.argsort(descending=True)[:count]
    return mean, vectors[:, best].T, values[best].clamp_min(1e-12).sqrt()


def _compress(conv: nn.Conv2d, x_NCHW: Tensor, *, const: int | None) -> None:
    """Components of the input in all channels but the last, which stays 1."""
    outputs, rows = conv.out_channels, _samples(x_NCHW)
    _, vectors, _ = _components(rows, min(outputs - 1, x_NCHW.shape[1] - (const is not None)))
    weight = torch.zeros(outputs, x_NCHW.shape[1], dtype=torch.float64)
    weight[: len(vectors)] = vectors
    lift = MARGIN - (rows @ weight.T).amin(0)
    if const is None:
        bias = cast(Tensor, conv.bias)
        bias.copy_(lift)
        bias[-1] = 1
    else:
        weight[:, const] += lift
        weight[-1] = 0
        weight[-1, const] = 1
    _place(conv, weight)


def _latent(conv: nn.Conv2d, x_NCHW: Tensor) -> None:
    """The strongest components with the square root of their spread, so that colour leads."""
    mean, vectors, spread = _components(_samples(x_NCHW), conv.out_channels)
    scale = spread.sqrt() / spread.mean().sqrt() * RMS / spread
    weight = vectors * scale[:, None]
    _place(conv, weight)
    cast(Tensor, conv.bias).copy_(-(weight @ mean))


def _place(conv: nn.Conv2d, weight_OI: Tensor) -> None:
    """A matrix into the taps of a convolution; the other taps are nearly silent."""
    nn.init.normal_(conv.weight, std=1e-4)
    if conv.stride[0] == 2:  # padding 1: the two rows and columns of a block are taps 1 and 2
        conv.weight[:, :, 1:, 1:] = weight_OI.reshape(conv.out_channels, -1, 2, 2).float()
    else:
        centre = conv.kernel_size[0] // 2
        conv.weight[:, :, centre, centre] = weight_OI.float()


@dataclass(slots=True)
class _Code:
    """An affine code of pixel blocks on its way through the decoder: block = codes @ read + mean, codes on channels [0, K)."""

    read: Tensor  # [K, values of a block]
    mean: Tensor
    time: int
    side: int  # of a block, in patches


def _begin_decoder(vae: TinyVae, z_NCHW: Tensor, frames_NCHW: Tensor) -> None:
    time, side = vae.frames_per_latent, vae.pixels_per_cell // vae.config.patch
    blocks = _blocks(frames_NCHW, time, side)
    z = torch.tanh(z_NCHW / 3) * 3
    rows = z.permute(0, 2, 3, 1).reshape(-1, z.shape[1]).double()
    one = torch.cat([rows, torch.ones(len(rows), 1, dtype=torch.float64)], 1)
    solved = torch.linalg.solve(one.T @ one + 1e-6 * torch.eye(one.shape[1], dtype=torch.float64), one.T @ blocks)
    code = _Code(solved[:-1], solved[-1], time, side)
    convs = [m for m in vae.decoder if isinstance(m, nn.Conv2d)]
    spreads = [m for m in vae.decoder if isinstance(m, Spread)]
    lift = MARGIN - rows.amin(0)
    _entry(convs[0], lift)
    code.mean = code.mean - lift @ code.read
    codes = rows + lift
    for spread, conv in zip(spreads, convs[1:-1], strict=True):
        codes = _split(spread, conv, code, codes)
    _exit(convs[-1], code)


def _blocks(frames_NCHW: Tensor, time: int, side: int) -> Tensor:
    """Rows of (time, row, column, channel) values, one per latent cell."""
    n, c, h, w = frames_NCHW.shape
    x = frames_NCHW.reshape(n // time, time, c, h // side, side, w // side, side)
    return x.permute(0, 3, 5, 1, 4, 6, 2).reshape(-1, time * side * side * c).double()


def _entry(conv: nn.Conv2d, lift: Tensor) -> None:
    latent = conv.in_channels
    nn.init.kaiming_normal_(conv.weight)
    bias = cast(Tensor, conv.bias)
    nn.init.zeros_(bias)
    conv.weight[: latent + 1] = 0
    for k in range(latent):
        conv.weight[k, k, 1, 1] = 1
    bias[:latent] = lift.float()
    bias[latent] = 1


def _split(spread: Spread, conv: nn.Conv2d, code: _Code, codes: Tensor) -> Tensor:
    """One level: codes of blocks become codes of the blocks half as large (and half as long); returns the new codes."""
    t, s, wide, count = spread.time, spread.space, spread.conv.in_channels, len(code.read)
    values = code.read.shape[1] // (code.time * code.side**2)

    def parts(x: Tensor) -> Tensor:
        """[R, block] -> [R, t*s*s, smaller block]."""
        y = x.reshape(-1, t, code.time // t, s, code.side // s, s, code.side // s, values)
        return y.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(x.shape[0], t * s * s, -1)

    read, mean = parts(code.read), parts(code.mean[None])[0]
    step = max(1, len(codes) // 12_000)
    seen = (torch.einsum("rk,kpv->rpv", codes[::step], read) + mean).flatten(0, 1)
    outputs = min(conv.out_channels - 1, seen.shape[1])
    centre, vectors, _ = _components(seen, outputs)
    lift = MARGIN - ((seen - centre) @ vectors.T).amin(0)
    to_codes = torch.einsum("kpv,ov->pok", read, vectors)  # [parts, new, old]
    constant = torch.einsum("pv,ov->po", mean - centre, vectors) + lift
    _fill(spread.conv, to_codes, constant, wide, count)
    nn.init.kaiming_normal_(conv.weight)
    conv.weight[: outputs + 1] = 0
    for k in range(outputs + 1):
        conv.weight[k, k, 1, 1] = 1
    code.read, code.mean = vectors, centre - lift @ vectors
    code.time, code.side = code.time // t, code.side // s
    return (seen - centre) @ vectors.T + lift


def _fill(conv: nn.Conv2d, to_codes: Tensor, constant: Tensor, wide: int, count: int) -> None:
    """Rows of a Spread: (time, channel, row, column); the constant lies behind the codes on both sides."""
    pieces, outputs, _ = to_codes.shape
    space = 4 if pieces % 4 == 0 else 1
    nn.init.kaiming_normal_(conv.weight, nonlinearity="linear")
    rows = conv.weight.view(pieces // space, wide, space, wide)
    used = min(outputs, wide - 1)
    rows[:, : used + 1] = 0
    for piece in range(pieces):
        t, p = divmod(piece, space)
        rows[t, :used, p, :count] = to_codes[piece, :used].float()
        rows[t, :used, p, count] = constant[piece, :used].float()
        rows[t, used, p, count] = 1


def _exit(conv: nn.Conv2d, code: _Code) -> None:
    nn.init.zeros_(conv.weight)
    count = len(code.read)
    conv.weight[:, :count, 1, 1] = code.read.T.float()
    cast(Tensor, conv.bias).copy_(code.mean)
