"""Everything that leans on the insides of aiortc and aioice, per instance, in one place; see docs/decisions/003.

`tests/edges/test_tuning.py` fails when a new aiortc changes underneath.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, Protocol

from aioice import Candidate, Connection
from aioice.ice import CandidatePair
from aioice.stun import TransactionError
from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCRtpSender, RTCRtpTransceiver
from aiortc.codecs.base import Encoder
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import (
    AnyRtcpPacket,
    HeaderExtensions,
    HeaderExtensionsMap,
    RtcpRrPacket,
    RtcpSrPacket,
    RtpPacket,
    pack_header_extensions,
    unpack_header_extensions,
)
from av.frame import Frame as AvFrame

from scope.edges.encoder import Encoded

PLAYOUT_DELAY = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
NO_DELAY = b"\0\0\0"  # min = max = 0: show a picture when it is decoded
LOOPBACK = "127.0.0.1"
CONSENT_S, CONSENT_FAILURES = 1.0, 3  # a vanished client is noticed after 5 to 8 s; aioice takes 27
BUFFER_PACKETS = 512
LOST_TICKS = 45_000  # half a second of 90 kHz
MOST_UNDECODED = 15  # pictures; half a second behind, a decoder that cannot keep up skips to the next keyframe


class PlayoutDelayMap(HeaderExtensionsMap):
    """Adds the playout delay to every packet, once it is negotiated."""

    def __init__(self) -> None:
        super().__init__()
        self._id = 0

    def configure(self, parameters: RTCRtpParameters) -> None:
        super().configure(parameters)
        self._id = next((each.id for each in parameters.headerExtensions if each.uri == PLAYOUT_DELAY), 0)

    def set(self, values: HeaderExtensions) -> tuple[int, bytes]:
        profile, block = super().set(values)
        if not self._id:
            return profile, block
        return pack_header_extensions([*unpack_header_extensions(profile, block), (self._id, NO_DELAY)])


class MarkedFrame(JitterFrame):
    """A whole encoded picture, and the codec it is in."""

    def __init__(self, data: bytes, timestamp: int, payload_type: int) -> None:
        super().__init__(data, timestamp)
        self.payload_type = payload_type


class MarkerBuffer(JitterBuffer):
    """Releases a picture at its RTP marker bit. aiortc waits for the next picture to begin: one whole frame time.

    It also gives a lost packet up after half a second, where aiortc holds everything back for 512 packets.
    """

    _held_since: int | None = None  # RTP time of the first packet that came after the last picture left

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        wants_keyframe, frame = super().add(packet)
        if frame is not None:
            self._held_since = None
        elif self._held_since is None:
            self._held_since = packet.timestamp
        elif LOST_TICKS < (packet.timestamp - self._held_since) % (1 << 32) < 1 << 31:
            self.forget()
            wants_keyframe = True
        return wants_keyframe, frame

    def _remove_frame(self, sequence_number: int) -> MarkedFrame | None:
        packets: list[RtpPacket] = []
        for packet in self._in_order():
            if packets and packet.timestamp != packets[0].timestamp:
                break  # a sender without markers: the next picture ends this one
            packets.append(packet)
            if packet.marker:
                break
        else:
            return None
        self.remove(len(packets))
        data = b"".join(packet._data for packet in packets)  # type: ignore[attr-defined]  # set by the receiver
        return MarkedFrame(data, packets[0].timestamp, packets[0].payload_type)

    def _in_order(self) -> Any:
        """The packets that wait, up to the first gap."""
        assert self._origin is not None
        for offset in range(self._capacity):
            packet = self._packets[(self._origin + offset) % self._capacity]
            if packet is None:
                return
            yield packet

    def next_frame(self) -> MarkedFrame | None:
        """A picture that became whole together with the one before it, when a late packet closed a gap."""
        return self._remove_frame(0) if self._origin is not None else None

    def forget(self) -> None:
        """Start anew with whatever comes next."""
        if self._origin is not None:
            self.remove(self._capacity)
        self._origin = self._held_since = None


class Listener(Protocol):
    """Who wants to know what the far end says about a stream of ours."""

    def estimated(self, bps: int) -> None:
        """It can take so much (REMB)."""

    def lost(self, fraction: float) -> None:
        """So much did not arrive since the last report."""

    def ask_keyframe(self) -> None:
        """It lost its thread (PLI, FIR)."""


class Packer(Encoder):
    """Stands where aiortc keeps its encoder: hands on what is encoded already, and what the receiver reports."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.packets = 0

    def encode(self, frame: AvFrame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        raise NotImplementedError("our tracks yield encoded pictures only")

    def pack(self, packet: Any) -> tuple[list[bytes], int]:
        assert isinstance(packet, Encoded)
        self.packets += len(packet.payloads)
        return list(packet.payloads), packet.timestamp

    @property
    def target_bitrate(self) -> int:
        return 0

    @target_bitrate.setter
    def target_bitrate(self, bps: int) -> None:
        self._listener.estimated(bps)


def replace(owner: object, name: str, value: object) -> None:
    """Set an attribute that must be there already. Raises AttributeError when this is not the aiortc we were tuned for."""
    if not hasattr(owner, name):
        raise AttributeError(f"{type(owner).__name__} has no {name}: scope is tuned for aiortc 1.16")
    setattr(owner, name, value)


def private(owner: RTCRtpReceiver | RTCRtpSender, name: str) -> Any:
    """An attribute with two underscores."""
    return getattr(owner, f"_{type(owner).__name__}__{name}")


def tune_sender(sender: RTCRtpSender, packer: Packer, listener: Listener) -> None:
    """Send what `packer` hands on, and pass on what the far end reports."""
    replace(sender, "_RTCRtpSender__encoder", packer)
    replace(sender, "_RTCRtpSender__rtp_header_extensions_map", PlayoutDelayMap())
    replace(sender, "_send_keyframe", listener.ask_keyframe)
    original = sender._handle_rtcp_packet

    async def handle(packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            for report in packet.reports:
                if report.ssrc == sender._ssrc:
                    listener.lost(report.fraction_lost / 256)
        await original(packet)

    replace(sender, "_handle_rtcp_packet", handle)


def agree_on_playout_delay(transceiver: RTCRtpTransceiver, offered: list[RTCRtpHeaderExtensionParameters]) -> None:
    """Accept the playout delay when it is offered; to be called between the offer and the answer."""
    transceiver._headerExtensions += [each for each in offered if each.uri == PLAYOUT_DELAY]


def put_first(transceiver: RTCRtpTransceiver, codec: str) -> None:
    """Answer with `codec` first, when it is common to both ends; otherwise the client's order stands."""
    transceiver._codecs = sorted(transceiver._codecs, key=lambda each: each.name != codec)


def chosen_codec(transceiver: RTCRtpTransceiver) -> str:
    """What we send, after the negotiation."""
    return transceiver._codecs[0].name


def tune_receiver(receiver: RTCRtpReceiver) -> None:
    """Release pictures at the marker bit; skip ahead when the decoder cannot keep up."""
    buffer = MarkerBuffer(BUFFER_PACKETS, is_video=True)
    replace(receiver, "_RTCRtpReceiver__jitter_buffer", buffer)
    original = receiver._handle_rtp_packet
    undecoded, codecs, clock = (private(receiver, name) for name in ("decoder_queue", "codecs", "timestamp_mapper"))
    skipping = False

    async def handle(packet: RtpPacket, arrival_time_ms: int) -> None:
        nonlocal skipping
        if undecoded.qsize() > (0 if skipping else MOST_UNDECODED):
            skipping = True
            buffer.forget()
            return
        await original(packet, arrival_time_ms=arrival_time_ms)
        if skipping:
            skipping = False
            await receiver._send_rtcp_pli(packet.ssrc)
        while (frame := buffer.next_frame()) is not None:
            frame.timestamp = clock.map(frame.timestamp)
            undecoded.put((codecs[frame.payload_type], frame))

    replace(receiver, "_handle_rtp_packet", handle)


def tune_ice(peer: RTCPeerConnection, *, loopback: bool) -> None:
    """To be called before the candidates are gathered, that is, before the answer or offer is set."""
    transports = {each.receiver.transport.transport for each in peer.getTransceivers()}
    if peer.sctp is not None:
        transports.add(peer.sctp.transport.transport)
    for connection in {transport._connection for transport in transports}:
        replace(connection, "query_consent", _consent_of(connection))
        if loopback:
            replace(connection, "get_component_candidates", _with_loopback(connection))


def _with_loopback(connection: Connection) -> Callable[..., Any]:
    """aioice leaves 127.0.0.1 out, which is all that a laptop without a network has."""
    original = connection.get_component_candidates

    async def gather(component: int, addresses: list[str], timeout: int = 5) -> list[Candidate]:
        wanted = [LOOPBACK, *(address for address in addresses if address != LOOPBACK)]
        return await original(component=component, addresses=wanted, timeout=timeout)

    return gather


def _consent_of(connection: Connection) -> Callable[[], Any]:
    """RFC 7675 as aioice does it, but every second. Failures are counted, not seconds, so that a stall of ours kills nobody."""

    async def query_consent() -> None:
        failures = 0
        while failures < CONSENT_FAILURES:
            await asyncio.sleep(CONSENT_S * random.uniform(0.8, 1.2))
            for pair in list(connection._nominated.values()):
                failures = 0 if await _answers(connection, pair) else failures + 1
        connection._query_consent_task = None  # we are that task; close() would wait for it
        await connection.close()

    return query_consent


async def _answers(connection: Connection, pair: CandidatePair) -> bool:
    """One repetition, so that a link with half a second of delay still counts as alive."""
    assert connection.remote_password is not None
    request = connection.build_request(pair, nominate=False)
    try:
        await pair.protocol.request(
            request, pair.remote_addr, integrity_key=connection.remote_password.encode(), retransmissions=1
        )
    except TransactionError:
        return False
    return True
