"""HTTP whose request heads end: uvicorn keeps an address or a header of any length in memory before anyone can refuse it."""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_CAP_BYTES: Final = 64 * 1024
HEAD_LIMIT_S: Final = 20.0  # a head that takes longer than this is not coming


class BoundedHttp(HttpToolsProtocol):
    """Closes a connection whose request head is too large or too slow."""

    _head_bytes = 0
    _in_head = True
    _patience: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        if self._in_head and self._patience is None:
            self._patience = self.loop.call_later(HEAD_LIMIT_S, self._give_up)
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_CAP_BYTES and not self.transport.is_closing():
            self.send_400_response("The request head is too large.")

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._be_patient()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._be_patient()
        super().connection_lost(exc)

    def _be_patient(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self.transport.close()
