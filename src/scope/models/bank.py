"""MemFlow's bank: a few past frames per layer, kept by how well they answer the prompt (models-stream.md section 8.3).

Shape suffixes: B batch, K bank frames, L tokens per frame, N heads, D head channels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scope.models.cache import BankPolicy, Call, TextMemory


def scores(bank_k_BKLND: Tensor, text_k_BTND: Tensor) -> Tensor:
    """Mean over text tokens, heads and frame tokens of (text key . bank key) / sqrt(D), per bank frame: [B, K]."""
    text = text_k_BTND.float().mean(1)
    frames = bank_k_BKLND.float().mean(2)
    products: Tensor = (frames * text.unsqueeze(1)).sum((2, 3))
    return products / float(text.shape[1] * text.shape[2] ** 0.5)


def best(scores_BK: Tensor, count: int) -> Tensor:
    """Indices [B, count] of the highest scores, best first; equal scores in order of age, on every device."""
    return scores_BK.sort(dim=1, descending=True, stable=True).indices[:, :count]


def compress(kept_BKLND: Tensor, new_BLND: Tensor, chosen: Tensor) -> Tensor:
    """The chosen K-1 frames and the candidate behind them."""
    rows = torch.arange(len(kept_BKLND), device=kept_BKLND.device)[:, None]
    return torch.cat([kept_BKLND[rows, chosen], new_BLND[:, None]], 1)


class Bank:
    """The bank frames lie in the slots behind the window of the memory's own tensors; the candidate lies here."""

    def __init__(self, policy: BankPolicy, chunk: int, window: int, new_k: list[Tensor], new_v: list[Tensor]) -> None:
        self.policy, self.chunk, self.window = policy, chunk, window
        self.new_k, self.new_v = new_k, new_v
        self.recorded = 0

    def tensors(self) -> tuple[Tensor, ...]:
        return (*self.new_k, *self.new_v)

    def clear(self, k: list[Tensor], v: list[Tensor]) -> None:
        self.recorded = 0
        for tensor in (*k, *v):
            self._frames(tensor).zero_()
        for tensor in self.tensors():
            tensor.zero_()

    def due(self, call: Call) -> bool:
        """Whether this pass's first frame becomes the candidate."""
        if call.kind != "clean":
            return False
        frames = self.policy.count == "frames"
        return call.start % (self.chunk * self.policy.record_every) == 0 if frames else self._due_by_chunk(call)

    def _due_by_chunk(self, call: Call) -> bool:
        return call.start // self.chunk % self.policy.record_every == 0

    def visible(self, call: Call) -> int:
        """How many bank frames this pass sees; counts the recording of a clean pass that is due."""
        if self.due(call):
            seen, self.recorded = self.recorded, self._entries(call.end)
            return self._in_sight(call) if seen else 0
        return self._in_sight(call) if self.recorded else 0

    def _in_sight(self, call: Call) -> int:
        entries = self._entries(call.end)
        if call.start // self.chunk % self.policy.interval == 0 and call.kind != "recache":
            entries -= call.frames // self.chunk
        return max(0, min(entries, self.policy.size))

    def _entries(self, end: int) -> int:
        return (end // self.chunk - 1) // self.policy.interval + 1

    def record(self, layer: int, k_BTND: Tensor, v_BTND: Tensor) -> None:
        """Keep the pass's first frame (rotated keys) as the candidate."""
        tokens = self.new_k[layer].shape[1]
        self.new_k[layer].copy_(k_BTND[:, :tokens])
        self.new_v[layer].copy_(v_BTND[:, :tokens])

    def fold(self, k: list[Tensor], v: list[Tensor], text: TextMemory | None) -> None:
        """Put the candidate into the bank: behind the others while there is room, in place of the worst afterwards."""
        if not self.recorded:
            return
        for layer, (new_k, new_v) in enumerate(zip(self.new_k, self.new_v, strict=True)):
            old_k, old_v = self._frames(k[layer]), self._frames(v[layer])
            if self.recorded <= self.policy.size:
                old_k[:, self.recorded - 1].copy_(new_k)
                old_v[:, self.recorded - 1].copy_(new_v)
                continue
            marks = scores(old_k, text.k[layer]) if text else old_k.new_zeros(old_k.shape[:2])
            chosen = best(marks, self.policy.size - 1)
            old_k.copy_(compress(old_k, new_k, chosen))
            old_v.copy_(compress(old_v, new_v, chosen))

    def _frames(self, tensor: Tensor) -> Tensor:
        """The bank's part of one layer's tensor, [B, K, L, N, D], a view."""
        tokens = self.new_k[0].shape[1]
        part = tensor[:, self.window * tokens : (self.window + self.policy.size) * tokens]
        return torch.unflatten(part, 1, (-1, tokens))


def route(q_BTND: Tensor, k_BSND: Tensor, v_BSND: Tensor, frame_tokens: int, count: int) -> tuple[Tensor, Tensor]:
    """MemFlow's sparse memory (section 8.6, off in the released weights): keys and values [B, count*L, N, D].

    Per head, only the `count` frames whose mean key answers the mean query best, oldest first.
    """
    k_BKLND, v_BKLND = (torch.unflatten(x, 1, (-1, frame_tokens)) for x in (k_BSND, v_BSND))
    marks_BKN = (k_BKLND.mean(2) * q_BTND.mean(1, keepdim=True)).sum(-1)
    chosen_BKN = best(marks_BKN, count).sort(1).values
    index = chosen_BKN[:, :, None, :, None].expand(-1, -1, frame_tokens, -1, k_BSND.shape[-1])
    return k_BKLND.gather(1, index).flatten(1, 2), v_BKLND.gather(1, index).flatten(1, 2)
