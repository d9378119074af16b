"""Clients of a live server, over HTTP and WebRTC, for tests and benchmarks."""

from __future__ import annotations

from typing import Any, Self

import httpx2

from tests.live_server import LiveServer
from tests.rtc_client import RtcClient, Wish


class Visitor:
    """Everything one person does with a server; ends all its connections at the end."""

    def __init__(self, server: LiveServer) -> None:
        self.http = httpx2.AsyncClient(base_url=server.base_url, timeout=20)
        self._clients: list[RtcClient] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        for client in [*self._clients]:  # leaving takes it off the list
            await self.leave(client)
        await self.http.aclose()

    async def connect(self, wish: Wish | None = None) -> RtcClient:
        """A connected client, left at the end if not before."""
        client = self.client(wish)
        await client.connect()
        return client

    def client(self, wish: Wish | None = None) -> RtcClient:
        client = RtcClient(self.post, wish)
        self._clients.append(client)
        return client

    async def leave(self, client: RtcClient) -> None:
        await client.close()
        if client.reply:
            await self.http.delete(f"/api/v1/webrtc/offer/{client.session_id}")
        if client in self._clients:
            self._clients.remove(client)

    async def post(self, body: dict[str, Any]) -> dict[str, Any]:
        """POST an offer. Raises AssertionError with the server's words when it is refused."""
        answer = await self.http.post("/api/v1/webrtc/offer", json=body)
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
        reply: dict[str, Any] = answer.json()
        return reply

    async def status(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.http.get("/api/v1/pipeline/status")).json()
        return found

    async def sessions(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.http.get("/api/v1/session/metrics")).json()["sessions"]
        return found
