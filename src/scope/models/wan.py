"""The Wan2.1 transformer, causal because its self-attention looks through a memory it is handed (models-wan.md sections 2 and 3).

Parameter names are those of the published checkpoints. One set of weights serves any number of streams: nothing here changes
while running. Shape suffixes: B batch, F latent frames, C channels (16 latent, or model), H W latent rows and columns, L tokens
per frame, T tokens (F*L), N heads, D head channels, M six modulation vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear, pad

from scope.errors import BadInput
from scope.models.attention import Attend, sdpa
from scope.models.cache import TextMemory
from scope.models.memory import Room, Seen, View
from scope.models.rope import Grid

Look = Callable[[Tensor, Tensor, Tensor], Seen]


@dataclass(frozen=True, slots=True)
class WanConfig:
    """Sizes of one network. The defaults are what every published Wan2.1 text-to-video model shares."""

    dim: int
    ffn_dim: int
    heads: int
    layers: int
    freq_dim: int = 256
    text_dim: int = 4096
    text_len: int = 512
    in_channels: int = 16
    out_channels: int = 16
    eps: float = 1e-6
    patch: int = 2  # latent rows and columns of a token
    predicts: Literal["flow", "clean"] = "flow"  # a narrow network cannot carry a wide token's noise to its end: it says x0

    @property
    def head_dim(self) -> int:
        return self.dim // self.heads

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> WanConfig:
        """From a repository's config.json; sizes it does not mention are the published constants."""
        names = {"freq_dim": "freq_dim", "text_dim": "text_dim", "text_len": "text_len", "eps": "eps"}
        names |= {"in_dim": "in_channels", "out_dim": "out_channels"}
        extra = {ours: row[theirs] for theirs, ours in names.items() if theirs in row}
        extra |= {"patch": row["patch_size"][-1]} if "patch_size" in row else {}
        return cls(row["dim"], row["ffn_dim"], row["num_heads"], row["num_layers"], **extra)


CLEAN_FLOOR = 0.2  # of sigma, where the flow comes of a said x0
WAN_1_3B = WanConfig(dim=1536, ffn_dim=8960, heads=12, layers=30)
WAN_14B = WanConfig(dim=5120, ffn_dim=13824, heads=40, layers=40)
NANO = WanConfig(dim=256, ffn_dim=1024, heads=4, layers=6, text_dim=192, text_len=24, patch=4, predicts="clean")  # ours


class RMSNorm(nn.Module):
    """u * rsqrt(mean(u^2) + eps) over all channels in float32, cast back, then times the weight."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)).to(x.dtype) * self.weight


class Attention(nn.Module):
    """Projections and q/k norms shared by self- and cross-attention; norms run over the full width, before the head split."""

    def __init__(self, config: WanConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.q, self.k, self.v, self.o = (nn.Linear(config.dim, config.dim) for _ in range(4))
        self.norm_q, self.norm_k = RMSNorm(config.dim, config.eps), RMSNorm(config.dim, config.eps)

    def queries(self, x_BTC: Tensor) -> Tensor:
        return self.norm_q(self.q(x_BTC)).unflatten(-1, (self.heads, -1))  # type: ignore[no-any-return]

    def keys_values(self, x_BTC: Tensor) -> tuple[Tensor, Tensor]:
        k, v = self.norm_k(self.k(x_BTC)), self.v(x_BTC)
        return k.unflatten(-1, (self.heads, -1)), v.unflatten(-1, (self.heads, -1))

    def out(self, x_BTND: Tensor) -> Tensor:
        return cast(Tensor, self.o(x_BTND.flatten(2)))


class Block(nn.Module):
    """Modulated self-attention, cross-attention, modulated feed-forward."""

    def __init__(self, config: WanConfig) -> None:
        super().__init__()
        dim, self.eps = config.dim, config.eps
        self.modulation = nn.Parameter(torch.zeros(1, 6, dim))
        self.self_attn, self.cross_attn = Attention(config), Attention(config)
        self.norm3 = nn.LayerNorm(dim, eps=config.eps)
        self.ffn = nn.Sequential(nn.Linear(dim, config.ffn_dim), nn.GELU(approximate="tanh"), nn.Linear(config.ffn_dim, dim))

    def forward(self, y_BFLC: Tensor, time_BFMC: Tensor, look: Look, text: tuple[Tensor, Tensor], attend: Attend) -> Tensor:
        """time_BFMC: projected time embedding per frame; text: this layer's keys and values of the prompt."""
        shift0, scale0, gate0, shift1, scale1, gate1 = (self.modulation.unsqueeze(1) + time_BFMC).unsqueeze(3).unbind(2)
        z_BTC = modulated(y_BFLC, shift0, scale0, self.eps).flatten(1, 2)
        seen = look(self.self_attn.queries(z_BTC), *self.self_attn.keys_values(z_BTC))
        y_BFLC = y_BFLC + self.self_attn.out(attend(*seen)).view_as(y_BFLC) * gate0
        q_BTND = self.cross_attn.queries(self.norm3(y_BFLC).flatten(1, 2))
        text_k, text_v = (x.expand(len(q_BTND), -1, -1, -1) for x in text)
        y_BFLC = y_BFLC + self.cross_attn.out(attend(q_BTND, text_k, text_v)).view_as(y_BFLC)
        return y_BFLC + cast(Tensor, self.ffn(modulated(y_BFLC, shift1, scale1, self.eps))) * gate1


def modulated(y_BFLC: Tensor, shift: Tensor, scale: Tensor, eps: float) -> Tensor:
    """LayerNorm without weights, then * (1 + scale) + shift."""
    return layer_norm(y_BFLC, y_BFLC.shape[-1:], eps=eps) * (1 + scale) + shift


class Head(nn.Module):
    def __init__(self, config: WanConfig) -> None:
        super().__init__()
        self.eps = config.eps
        self.modulation = nn.Parameter(torch.zeros(1, 2, config.dim))
        self.head = nn.Linear(config.dim, config.patch**2 * config.out_channels)

    def forward(self, y_BFLC: Tensor, time_BFC: Tensor) -> Tensor:
        shift, scale = (self.modulation.unsqueeze(1) + time_BFC.unsqueeze(2)).unsqueeze(3).unbind(2)
        return cast(Tensor, self.head(modulated(y_BFLC, shift, scale, self.eps)))


class Hinter(Protocol):
    """A second network that steers the first (VACE): called with the patch tokens, answers what to add after which layer."""

    def hints(self, y_BFLC: Tensor, time_BFMC: Tensor, grid: Grid, attend: Attend) -> Mapping[int, Tensor]: ...


def patch_tokens(x_BFCHW: Tensor, conv: nn.Conv3d) -> Tensor:
    """The (1, p, p) patch convolution as one matrix product: [B, F, L, C], tokens row by row.

    Raises BadInput if the latent's sides are no multiples of p.
    """
    b, f, c, h, w = x_BFCHW.shape
    p = conv.kernel_size[-1]
    if h % p or w % p:
        raise BadInput(f"latent of {h}x{w}: both sides must be multiples of {p}")
    patches = x_BFCHW.reshape(b, f, c, h // p, p, w // p, p).permute(0, 1, 3, 5, 2, 4, 6)
    return linear(patches.reshape(b, f, h * w // p**2, c * p**2), conv.weight.flatten(1), conv.bias)


def pixels_of(patches_BFLC: Tensor, rows: int, patch: int = 2) -> Tensor:
    """Inverse of the patching, for `rows` rows of tokens; a token's values are ordered (row, column, channel)."""
    b, f, tokens, size = patches_BFLC.shape
    p, channels = patch, size // patch**2
    x = patches_BFLC.view(b, f, rows, tokens // rows, p, p, channels).permute(0, 1, 6, 2, 4, 3, 5)
    return x.reshape(b, f, channels, rows * p, tokens // rows * p)


def sinusoid(t: Tensor, size: int) -> Tensor:
    """cos then sin of t * 10000^(-j / (size/2)), float64 [*t.shape, size]."""
    half = size // 2
    frequencies = 10000.0 ** (-torch.arange(half, dtype=torch.float64, device=t.device) / half)
    angles = t.double().unsqueeze(-1) * frequencies
    return torch.cat([angles.cos(), angles.sin()], -1)


def flow_from_clean(x_BFCHW: Tensor, clean_BFCHW: Tensor, t_BF: Tensor) -> Tensor:
    """The flow of a network that says x0: (x - x0) / sigma. Below CLEAN_FLOOR a step goes only part of the way to what it
    said."""
    sigma = (t_BF / 1000).clamp_min(CLEAN_FLOOR).to(x_BFCHW.dtype)
    return (x_BFCHW - clean_BFCHW) / sigma[:, :, None, None, None]


class WanTransformer(nn.Module):
    """Predicts flow (noise - x0) for latent frames, given the prompt's `TextMemory` and a `View` on what came before."""

    def __init__(self, config: WanConfig, *, attend: Attend = sdpa) -> None:
        super().__init__()
        dim = config.dim
        self.config, self.attend = config, attend
        patch = (1, config.patch, config.patch)
        self.patch_embedding = nn.Conv3d(config.in_channels, dim, patch, patch)
        self.text_embedding = nn.Sequential(nn.Linear(config.text_dim, dim), nn.GELU(approximate="tanh"), nn.Linear(dim, dim))
        self.time_embedding = nn.Sequential(nn.Linear(config.freq_dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.head = Head(config)

    def grid(self, latent_rows: int, latent_cols: int) -> Grid:
        return Grid(latent_rows // self.config.patch, latent_cols // self.config.patch, self.config.head_dim)

    def room(self, latent_rows: int, latent_cols: int, *, batch: int = 1) -> Room:
        """What a memory for this network and picture size must know."""
        like = self.patch_embedding.weight
        grid = self.grid(latent_rows, latent_cols)
        return Room(self.config.layers, self.config.heads, grid, batch, like.dtype, like.device)

    def embed_text(self, prompt_BTC: Tensor) -> Tensor:
        """Prompt embedding [B, <=text_len, text_dim] -> hidden [B, text_len, dim]; padding is added first, and attended to.

        Raises BadInput if the prompt is longer than text_len.
        """
        missing = self.config.text_len - prompt_BTC.shape[1]
        if missing < 0:
            raise BadInput(f"prompt of {prompt_BTC.shape[1]} tokens; at most {self.config.text_len}")
        return cast(Tensor, self.text_embedding(pad(prompt_BTC, (0, 0, 0, missing))))

    def read(self, prompt_BTC: Tensor) -> TextMemory:
        """A prompt's keys and values for every layer; compute once per prompt."""
        return read_text(self.blocks, self.embed_text(prompt_BTC))

    def clock(self, t_BF: Tensor) -> tuple[Tensor, Tensor]:
        """Time embedding [B, F, C] and its six modulation vectors [B, F, 6, C] for timesteps in 0..1000, one per frame."""
        wave = sinusoid(t_BF, self.config.freq_dim).to(self.patch_embedding.weight.dtype)
        time_BFC = self.time_embedding(wave)
        return time_BFC, self.time_projection(time_BFC).unflatten(-1, (6, -1))

    def forward(self, x_BFCHW: Tensor, t_BF: Tensor, text: TextMemory, view: View, control: Hinter | None = None) -> Tensor:
        """Flow [B, F, 16, H, W] for noisy latents of the same shape at timesteps t (0..1000), one per frame."""
        y_BFLC = patch_tokens(x_BFCHW, self.patch_embedding)
        time_BFC, time_BFMC = self.clock(t_BF)
        grid = self.grid(*x_BFCHW.shape[-2:])
        hints = control.hints(y_BFLC, time_BFMC, grid, self.attend) if control else {}
        for layer, block in enumerate(self.blocks):
            y_BFLC = block(y_BFLC, time_BFMC, _looker(view, layer), (text.k[layer], text.v[layer]), self.attend)
            if layer in hints:
                y_BFLC = y_BFLC + hints[layer]
        said = pixels_of(self.head(y_BFLC, time_BFC), grid.rows, self.config.patch)
        return said if self.config.predicts == "flow" else flow_from_clean(x_BFCHW, said, t_BF)


def _looker(view: View, layer: int) -> Look:
    return lambda q_BTND, k_BTND, v_BTND: view.look(layer, q_BTND, k_BTND, v_BTND)


def read_text(blocks: nn.ModuleList, hidden_BTC: Tensor) -> TextMemory:
    """Cross-attention keys and values of every block for an embedded prompt."""
    pairs = [cast(Block, block).cross_attn.keys_values(hidden_BTC) for block in blocks]
    return TextMemory([k for k, _ in pairs], [v for _, v in pairs])
