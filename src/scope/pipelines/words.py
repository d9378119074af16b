"""Prompt texts to embeddings, beside the running chunk: a new prompt must not hold the picture up.

Shape suffixes: L token rows, D channels.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import torch
from torch import Tensor

KNOWN = 64  # texts whose embedding is remembered
GRACE_S = 0.01  # what is made within this time is waited for: nobody sees it
Embed = Callable[[str], Tensor]  # text -> [1, L, D]
Explain = Callable[[str], Mapping[str, Any]]


class Words:
    """The embeddings of the texts of late. One thread encodes; any thread may ask."""

    def __init__(self, embed: Embed, *, beside: bool = True, known: int = KNOWN, explain: Explain | None = None) -> None:
        """Without `beside`, whoever asks waits: every embedding is ready at once, and the picture stands still for it.

        `explain` is for an encoder with a small vocabulary: what of a text it understood, for the clients.
        """
        self.explain = explain
        self._embed, self._room, self._beside = embed, known, beside
        self._lock = threading.Lock()
        self._found: OrderedDict[str, Future[Tensor]] = OrderedDict()  # oldest use first
        self._encoder = ThreadPoolExecutor(1, thread_name_prefix="prompts")

    def ask(self, texts: Sequence[str]) -> None:
        """Begin to encode what is not known; what was asked before and has not begun is wanted no more."""
        with self._lock:
            for text in [text for text, found in self._found.items() if text not in texts and found.cancel()]:
                del self._found[text]
            for text in dict.fromkeys(texts):
                if text not in self._found:
                    self._found[text] = self._encoder.submit(self._encode, text)
                self._found.move_to_end(text)
            while len(self._found) > max(self._room, len(texts)):
                self._found.popitem(last=False)

    def ready(self, texts: Sequence[str]) -> list[Tensor] | None:
        """The embeddings, or None as long as one is still being made. Raises what the encoder raised."""
        if not self._beside:
            return self.wait(texts)
        found = self._futures(texts)
        return [future.result() for future in found] if not wait(found, GRACE_S).not_done else None

    def wait(self, texts: Sequence[str]) -> list[Tensor]:
        """The embeddings, when they are made."""
        return [future.result() for future in self._futures(texts)]

    def _futures(self, texts: Sequence[str]) -> list[Future[Tensor]]:
        self.ask(texts)
        with self._lock:
            found = [self._found[text] for text in texts]
            for text, future in zip(texts, found, strict=True):
                if future.done() and future.exception() is not None:
                    self._found.pop(text, None)  # tried again when it is asked for again
        return found

    @torch.inference_mode()
    def _encode(self, text: str) -> Tensor:
        """On a stream of its own where there is a GPU, done when it returns."""
        if not torch.cuda.is_available():
            return self._embed(text)
        beside: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        with torch.cuda.stream(beside):
            found = self._embed(text)
        beside.synchronize()
        return found
