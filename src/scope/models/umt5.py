"""The UMT5 text encoder in the key layout of the Wan repositories (models-wan.md section 14).

Shape suffixes: B batch, L tokens (as query), S tokens (as key), D model channels, A attention channels (heads * per head),
N heads, H channels of one head.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPS = 1e-6
EXACT_SHARE = 2  # half of the buckets of one direction stand for single distances, the rest grow with the logarithm


@dataclass(frozen=True, slots=True)
class Umt5Config:
    """Sizes of one encoder."""

    vocabulary: int
    dim: int
    attention_dim: int
    ffn_dim: int
    heads: int
    layers: int
    buckets: int = 32
    farthest: int = 128  # tokens; everything beyond shares the last bucket


UMT5_XXL = Umt5Config(vocabulary=256_384, dim=4096, attention_dim=4096, ffn_dim=10_240, heads=64, layers=24)


class Narrow(nn.Linear):
    """A linear layer without bias whose weight may be stored in a narrower type (fp8, unscaled) than it computes in."""

    def __init__(self, wide_in: int, wide_out: int) -> None:
        super().__init__(wide_in, wide_out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype))


class RootNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) in float32, cast to the weight's type, times the weight."""

    def __init__(self, wide: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(wide))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + EPS)).to(self.weight.dtype) * self.weight


class Attention(nn.Module):
    """No scaling by the head's width; positions come in through the bias."""

    def __init__(self, config: Umt5Config) -> None:
        super().__init__()
        self.heads = config.heads
        self.q, self.k, self.v = (Narrow(config.dim, config.attention_dim) for _ in range(3))
        self.o = Narrow(config.attention_dim, config.dim)

    def forward(self, x_BLD: Tensor, bias_BNLS: Tensor) -> Tensor:
        b, length, _ = x_BLD.shape
        q, k, v = (part(x_BLD).view(b, length, self.heads, -1).transpose(1, 2) for part in (self.q, self.k, self.v))
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=bias_BNLS.to(q.dtype), scale=1.0)
        mixed: Tensor = self.o(seen.transpose(1, 2).reshape(b, length, -1))
        return mixed


class FeedForward(nn.Module):
    """fc2(fc1(x) * gelu(gate(x))); the tanh approximation, in float32."""

    def __init__(self, config: Umt5Config) -> None:
        super().__init__()
        self.gate = nn.Sequential(Narrow(config.dim, config.ffn_dim))
        self.fc1, self.fc2 = Narrow(config.dim, config.ffn_dim), Narrow(config.ffn_dim, config.dim)

    def forward(self, x_BLD: Tensor) -> Tensor:
        gated = F.gelu(self.gate(x_BLD).float(), approximate="tanh") * self.fc1(x_BLD)
        y_BLD: Tensor = self.fc2(gated.to(x_BLD.dtype))
        return y_BLD


class Positions(nn.Module):
    """One learned number per head and bucket of distance; every layer has its own table."""

    def __init__(self, config: Umt5Config) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.buckets, config.heads)

    def forward(self, length: int) -> Tensor:
        """[1, N, length, length]."""
        at = torch.arange(length, device=self.embedding.weight.device)
        bucket_LS = buckets(at[None] - at[:, None], self.config.buckets, self.config.farthest)
        bias_LSN: Tensor = self.embedding(bucket_LS)
        return bias_LSN.permute(2, 0, 1)[None]


class Block(nn.Module):
    def __init__(self, config: Umt5Config) -> None:
        super().__init__()
        self.norm1, self.norm2 = RootNorm(config.dim), RootNorm(config.dim)
        self.attn, self.ffn = Attention(config), FeedForward(config)
        self.pos_embedding = Positions(config)

    def forward(self, x_BLD: Tensor, absent_BS: Tensor) -> Tensor:
        bias_BNLS = self.pos_embedding(x_BLD.shape[1])
        bias_BNLS = bias_BNLS.masked_fill(absent_BS[:, None, None], torch.finfo(bias_BNLS.dtype).min)
        x_BLD = x_BLD + self.attn(self.norm1(x_BLD), bias_BNLS)
        y_BLD: Tensor = x_BLD + self.ffn(self.norm2(x_BLD))
        return y_BLD


class Umt5(nn.Module):
    """Token ids to one vector per token. Holds weights only."""

    def __init__(self, config: Umt5Config = UMT5_XXL) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocabulary, config.dim)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = RootNorm(config.dim)

    def forward(self, ids_BL: Tensor, present_BL: Tensor) -> Tensor:
        """[B,L] int64 ids and whether each is a real token to [B,L,D]. Rows of tokens that are not real mean nothing."""
        x_BLD = self.token_embedding(ids_BL)
        absent_BS = ~present_BL.bool()
        for block in self.blocks:
            x_BLD = block(x_BLD, absent_BS)
        y_BLD: Tensor = self.norm(x_BLD)
        return y_BLD


def buckets(relative: Tensor, count: int = 32, farthest: int = 128) -> Tensor:
    """Bucket of each distance key - query (int64, any shape): half of them for keys after the query, half for the rest."""
    half = count // 2
    exact = half // EXACT_SHARE
    distance = relative.abs()
    steps = torch.log(distance.clamp(min=1).float() / exact) / math.log(farthest / exact) * (half - exact)
    far = (exact + steps.long()).clamp(max=half - 1)
    return half * (relative > 0) + torch.where(distance < exact, distance, far)
