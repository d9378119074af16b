"""The insides of aiortc that the tuning leans on are there and do what it takes them to do; and what leans on them works."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensions, HeaderExtensionsMap, RtpPacket, unpack_header_extensions
from hypothesis import given
from hypothesis import strategies as st

from scope.edges import rtc_tuning
from scope.edges.rtc_tuning import MarkerBuffer, Packer, PlayoutDelayMap
from tests.edges.conftest import Connect
from tests.rtc_client import Sighting


class Deaf:
    """A listener who does not care."""

    def estimated(self, bps: int) -> None:
        return

    def lost(self, fraction: float) -> None:
        return

    def ask_keyframe(self) -> None:
        return


def test_this_is_the_aiortc_we_were_tuned_for() -> None:
    assert version("aiortc").startswith("1.16.")


async def test_every_private_name_is_still_there() -> None:
    """`replace` raises where one is missing, so tuning a fresh connection is the check."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.createDataChannel("x")
    transceiver = connection.addTransceiver("video")
    rtc_tuning.tune_sender(transceiver.sender, Packer(Deaf()), Deaf())
    rtc_tuning.tune_receiver(transceiver.receiver)
    rtc_tuning.tune_ice(connection, loopback=True)
    await connection.close()


def test_a_missing_name_is_an_error_and_not_a_silence() -> None:
    with pytest.raises(AttributeError, match="tuned for aiortc"):
        rtc_tuning.replace(object(), "_no_such_thing", 1)


def test_the_playout_delay_rides_on_every_packet_once_it_is_agreed() -> None:
    ours = PlayoutDelayMap()
    extensions = [
        RTCRtpHeaderExtensionParameters(id=3, uri="urn:ietf:params:rtp-hdrext:sdes:mid"),
        RTCRtpHeaderExtensionParameters(id=7, uri=rtc_tuning.PLAYOUT_DELAY),
    ]
    ours.configure(RTCRtpParameters(headerExtensions=extensions))
    sent = dict(unpack_header_extensions(*ours.set(HeaderExtensions(mid="0"))))
    assert sent == {3: b"0", 7: b"\0\0\0"}
    stock = HeaderExtensionsMap()
    stock.configure(RTCRtpParameters(headerExtensions=extensions))
    assert dict(unpack_header_extensions(*stock.set(HeaderExtensions(mid="0")))) == {3: b"0"}


def test_no_delay_where_none_was_agreed() -> None:
    ours = PlayoutDelayMap()
    ours.configure(RTCRtpParameters(headerExtensions=[]))
    assert ours.set(HeaderExtensions()) == HeaderExtensionsMap().set(HeaderExtensions())


def packets(sizes: list[int], *, first: int = 65_530) -> list[RtpPacket]:
    """Pictures of so many packets each, three thousand ticks apart, across the wrap of the sequence number."""
    made: list[RtpPacket] = []
    for picture, size in enumerate(sizes):
        for part in range(size):
            packet = RtpPacket(payload_type=96, sequence_number=(first + len(made)) % (1 << 16), timestamp=3000 * picture)
            packet.marker = int(part == size - 1)
            packet._data = bytes([picture % 256, part])  # type: ignore[attr-defined]
            made.append(packet)
    return made


def released(buffer: MarkerBuffer, arriving: list[RtpPacket]) -> list[bytes]:
    found = []
    for packet in arriving:
        _, frame = buffer.add(packet)
        while frame is not None:
            found.append(frame.data)
            frame = buffer.next_frame()
    return found


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=12))
def test_a_picture_leaves_with_its_last_packet(sizes: list[int]) -> None:
    arriving = packets(sizes)
    buffer = MarkerBuffer(128, is_video=True)
    for packet in arriving:
        _, frame = buffer.add(packet)
        assert (frame is not None) == bool(packet.marker)


@given(sizes=st.lists(st.integers(1, 4), min_size=2, max_size=10), data=st.data())
def test_packets_that_overtake_each_other_change_nothing(sizes: list[int], data: st.DataObject) -> None:
    arriving = packets(sizes)
    swap = data.draw(st.integers(1, len(arriving) - 2)) if len(arriving) > 2 else 0
    shuffled = arriving[:]
    if swap:
        shuffled[swap], shuffled[swap + 1] = shuffled[swap + 1], shuffled[swap]
    assert released(MarkerBuffer(128, is_video=True), shuffled) == released(MarkerBuffer(128, is_video=True), arriving)


def test_a_lost_packet_costs_half_a_second_at_most() -> None:
    arriving = packets([2] * 40)
    del arriving[5]
    buffer = MarkerBuffer(512, is_video=True)
    wanted = [buffer.add(packet)[0] for packet in arriving]
    assert any(wanted), "a keyframe is asked for"
    assert len(released(MarkerBuffer(512, is_video=True), arriving)) >= 20, "and pictures flow again"


async def test_the_delay_is_agreed_with_a_client_that_offers_it_and_not_with_others(connect: Connect) -> None:
    def has_number(sighting: Sighting) -> bool:
        return sighting.number is not None

    modern = await connect()
    plain = await connect(playout_delay=False)
    await modern.frame(has_number)
    await plain.frame(has_number)
    assert rtc_tuning.PLAYOUT_DELAY in modern.reply["sdp"] and rtc_tuning.PLAYOUT_DELAY not in plain.reply["sdp"]


async def test_nobody_outside_is_asked_and_loopback_is_offered(connect: Connect) -> None:
    client = await connect()
    assert "127.0.0.1" in client.reply["sdp"] and "typ srflx" not in client.reply["sdp"]
