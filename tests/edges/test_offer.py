"""Offers as texts: what is refused, what is set aside, what is put back into the answer."""

from __future__ import annotations

import re

import pytest

from scope.edges import rtc_offer
from scope.edges.webrtc import WebRtc
from scope.errors import BadInput, NotFound
from tests.edges.conftest import post
from tests.edges.live_hub import LiveHub
from tests.rtc_client import RtcClient, Wish

HEAD = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
FINGERPRINT = "a=fingerprint:sha-256 " + ":".join(["AB"] * 32)
SECRETS = f"a=ice-ufrag:abcd\r\na=ice-pwd:{'x' * 22}\r\n{FINGERPRINT}\r\na=setup:actpass\r\na=rtcp-mux\r\n"
VIDEO = "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 {other}/90000\r\n"
DATA = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
TEXT = "m=text 9 UDP/TLS/RTP/SAVPF 98\r\n"


def offer(*sections: str, bundle: bool = True) -> str:
    group = "a=group:BUNDLE " + " ".join(str(i) for i in range(len(sections))) + "\r\n" if bundle else ""
    return HEAD + group + "".join(f"{section}a=mid:{i}\r\n{SECRETS}" for i, section in enumerate(sections))


def directions(sdp: str) -> list[tuple[str, str]]:
    """(m-line up to the port, direction) of each."""
    blocks = re.split(r"(?m)^(?=m=)", sdp)[1:]
    return [
        (" ".join(b.split()[:2]), m[0] if (m := re.findall(r"a=(sendrecv|sendonly|recvonly|inactive)", b)) else "")
        for b in blocks
    ]


def test_a_direction_left_out_means_both_ways() -> None:
    assert rtc_offer.read(offer(VIDEO.format(other="VP9")), "offer").input_mid == "0"


@pytest.mark.parametrize(("other", "stated"), [("VP9", False), ("AV1", False), ("H264", True), ("rtx", True)])
def test_a_list_with_everything_states_no_preference(other: str, stated: bool) -> None:
    assert rtc_offer.read(offer(VIDEO.format(other=other)), "offer").states_preference == stated


def test_names_and_ends_of_candidates_are_left_out() -> None:
    lines = [
        "a=candidate:1 1 udp 2122260223 192.168.1.7 50000 typ host",
        "a=candidate:2 1 udp 2122260223 0f2d.local 50001 typ host",
        "a=candidate:3 1 tcp 1518280447 192.168.1.7 9 typ host tcptype active",
        "a=candidate:4 2 udp 2122260222 192.168.1.7 50002 typ host",
        "a=candidate:rubbish",
        "a=end-of-candidates",
    ]
    read = rtc_offer.read(offer(VIDEO.format(other="rtx") + "\r\n".join(lines) + "\r\n"), "offer")
    assert re.findall(r"a=(?:candidate|end).*", read.sdp.replace("\r", "")) == [lines[0]]


def test_a_candidate_goes_to_the_transport_there_is() -> None:
    host = "candidate:1 1 udp 2122260223 192.168.1.7 50000 typ host"
    bundled = rtc_offer.read(offer(TEXT, VIDEO.format(other="rtx"), DATA), "offer")
    for said in ({"sdpMid": "2"}, {"sdpMLineIndex": 2}, {}):
        found = bundled.candidate({"candidate": host, **said})
        assert found is not None and found.sdpMid == "1", "the first m-line that is accepted"
    apart = rtc_offer.read(offer(VIDEO.format(other="rtx"), DATA, bundle=False), "offer")
    found = apart.candidate({"candidate": "a=" + host, "sdpMLineIndex": 1})
    assert found is not None and found.sdpMid == "1"
    assert apart.candidate({"candidate": host, "sdpMid": "9"}) is None
    assert apart.candidate({"candidate": ""}) is None
    with pytest.raises(NotFound):
        apart.candidate({"candidate": "candidate:1 1 udp x 1.2.3.4 y typ host", "sdpMid": "0"})


@pytest.mark.parametrize(
    ("sdp", "word"),
    [
        (offer(TEXT), "Nothing"),
        (offer("m=video 9 UDP/TLS/RTP/SAVPF 97\r\na=rtpmap:97 VP9/90000\r\n"), "VP8 or H.264"),
        (offer(VIDEO.format(other="rtx")).replace("a=mid:0\r\n", ""), "a=mid"),
        (offer(DATA, DATA).replace("a=mid:1", "a=mid:0"), "a=mid"),
        (offer(DATA).replace("a=ice-pwd", "a=x"), "ice-pwd"),
        (offer(DATA).replace("a=fingerprint", "a=x"), "fingerprint"),
        (offer(DATA).replace("a=setup:actpass", "a=setup:sideways"), "parsed"),
        (offer(VIDEO.format(other="rtx")).replace("a=rtcp-mux\r\n", ""), "rtcp-mux"),
        (offer(*[DATA] * 25), "m-lines"),
        (offer("m=video x UDP 96\r\n"), "parsed"),
        (offer(DATA) + "a=x" * 40_000, "characters"),
    ],
)
def test_what_is_wrong_is_said(sdp: str, word: str) -> None:
    with pytest.raises(BadInput, match=word):
        rtc_offer.read(sdp, "offer")


def test_only_offers_are_offers() -> None:
    with pytest.raises(BadInput, match="offer"):
        rtc_offer.read(offer(DATA), "answer")


async def answered(rtc: WebRtc, hub: LiveHub, sdp: str) -> str:
    reply = await post(rtc, hub, {"sdp": sdp, "type": "offer"})
    await rtc.close_session(reply["sessionId"])
    return str(reply["sdp"])


async def test_every_m_line_is_answered_in_its_place(rtc: WebRtc, hub: LiveHub) -> None:
    audio = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\na=recvonly\r\n"
    video = VIDEO.format(other="VP9")
    sections = (TEXT, DATA, audio, video + "a=sendonly\r\n", video + "a=recvonly\r\n", video + "a=recvonly\r\n", DATA)
    sdp = await answered(rtc, hub, offer(*sections))
    assert [direction for _, direction in directions(sdp)] == [
        "inactive",  # nobody here speaks text
        "",
        "inactive",  # there is no sound
        "recvonly",
        "sendonly",
        "sendonly",
        "inactive",  # one application section is enough
    ]
    assert [kind for kind, _ in directions(sdp)][0] == "m=text 0" and [kind for kind, _ in directions(sdp)][
        6
    ] == "m=application 0"
    assert re.findall(r"a=mid:(\d)", sdp) == list("0123456")
    assert "a=group:BUNDLE 1 2 3 4 5\r\n" in sdp


async def test_without_a_bundle_none_is_answered(rtc: WebRtc, hub: LiveHub) -> None:
    sdp = await answered(rtc, hub, offer(VIDEO.format(other="rtx"), DATA, bundle=False))
    assert "BUNDLE" not in sdp and len(set(re.findall(r"(?m)^m=\w+ (\d+)", sdp))) == 2, "a transport each"


async def test_the_clients_order_of_codecs_counts_and_h264_where_it_has_none(rtc: WebRtc, hub: LiveHub) -> None:
    async def first(*codecs: str) -> str:
        async with RtcClient(lambda body: post(rtc, hub, body), Wish(codecs=codecs)) as client:
            body = await client.offer()
            if not codecs:  # as a browser's: with a codec that we do not have
                body["sdp"] = re.sub(r"(m=video .*)\r\n", r"\1 120\r\na=rtpmap:120 VP9/90000\r\n", body["sdp"])
            sdp = await answered(rtc, hub, body["sdp"])
            payload = re.findall(r"m=video \d+ \S+ (\d+)", sdp)[0]
            return str(re.findall(rf"a=rtpmap:{payload} (\w+)", sdp)[0])

    assert await first("VP8", "H264") == "VP8"
    assert await first("H264", "VP8") == "H264"
    assert await first() == "H264"
