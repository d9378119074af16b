"""The way in and out for browsers: offers are answered, peers watched over, and everything freed when they go."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection
from aiortc.rtcicetransport import connection_kwargs

from scope.contract import Hub, Join
from scope.edges import rtc_offer
from scope.edges.broadcast import Broadcast
from scope.edges.ice import IceServers
from scope.edges.rtc_peer import Peer
from scope.errors import BadInput, Busy, NotFound
from scope.settings import Settings

MOST_PEERS = 64


class WebRtc:
    """Every WebRTC peer of this server. Belongs to one event loop."""

    def __init__(self, settings: Settings, *, playout_delay: bool = True) -> None:
        self._settings = settings
        self._playout_delay = playout_delay  # off: smoother on a link that loses packets, 35 ms later
        self._peers: dict[str, Peer] = {}
        self._alive: set[Peer] = set()  # also those that have no session yet, or no longer
        self._broadcasts: dict[int, Broadcast] = {}
        self._ice = IceServers(settings)
        try:
            connection_kwargs(_rtc(list(settings.ice_servers)))
        except (TypeError, ValueError) as error:
            raise BadInput(f"The ICE servers cannot be used: {error}") from error

    async def offer(self, hub: Hub, sdp: str, type: str, how: Join) -> dict[str, str]:
        """Answer a peer. Raises BadInput, Busy, and what joining raises; nothing is left of the peer then."""
        offer = rtc_offer.read(sdp, type)
        if len(self._alive) >= MOST_PEERS:
            raise Busy(f"{MOST_PEERS} clients are connected already; close one first")
        ice = _rtc(await self._ice.current())
        connection = RTCPeerConnection(RTCConfiguration(iceServers=ice))  # an empty list, unlike None, asks nobody
        peer = Peer(connection, offer, self._broadcast(hub), self._forget)
        self._alive.add(peer)
        try:
            await peer.accept(playout_delay=self._playout_delay, loopback=self._settings.loopback)
            peer.session = hub.join(peer, dataclasses.replace(how, brings_video=offer.input_mid is not None))
            self._peers[peer.session.id] = peer
            return {"sdp": await peer.answer(), "type": "answer", "sessionId": peer.session.id}
        except BaseException:  # also when the request is cancelled: a peer without an answer must not live on
            await asyncio.shield(peer.close())
            raise

    async def add_candidate(self, session_id: str, candidate: dict[str, Any]) -> None:
        """Raises NotFound for an unknown session and for a candidate that cannot be parsed."""
        peer = self._peers.get(session_id)
        if peer is None:
            raise NotFound(f"There is no WebRTC session {session_id[:100]!r}")
        await peer.add_candidate(candidate)

    async def close_session(self, session_id: str) -> None:
        """Harmless when there is none."""
        peer = self._peers.get(session_id)
        if peer is not None:
            await asyncio.shield(peer.close())

    async def close(self) -> None:
        """Say goodbye to everyone."""
        await asyncio.gather(*(peer.close() for peer in self._alive))

    async def ice_servers(self) -> list[dict[str, Any]]:
        """What a client should use (contract 3.1); empty is right for one machine or one network."""
        return await self._ice.current()

    def stats(self) -> dict[str, Any]:
        """By session id: connection, encoder and input of each peer."""
        return {session_id: peer.figures() for session_id, peer in self._peers.items()}

    def _broadcast(self, hub: Hub) -> Broadcast:
        found = self._broadcasts.get(id(hub))
        if found is None:
            found = self._broadcasts[id(hub)] = Broadcast(hub, asyncio.get_running_loop())
        return found

    def _forget(self, peer: Peer) -> None:
        self._alive.discard(peer)
        if peer.session is not None and self._peers.get(peer.session.id) is peer:
            del self._peers[peer.session.id]


def _rtc(servers: list[dict[str, Any]]) -> list[RTCIceServer]:
    return [RTCIceServer(**server) for server in servers]
