"""The encoders, decoded again by the decoders of aiortc."""

from __future__ import annotations

import numpy as np
import pytest
from aiortc.codecs import depayload, get_decoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from av import VideoFrame

from scope.edges.encoder import CODECS, Encoded, Encoder
from scope.frame import Frame
from scope.pipelines import framecode
from tests.edges.live_hub import COLOUR, draw, draw_noise

BPS = 3_000_000
NAMES = pytest.mark.parametrize("name", ["H264", "VP8"])


class Decoder:
    def __init__(self, name: str) -> None:
        self._codec = RTCRtpCodecParameters(mimeType=f"video/{name}", clockRate=90_000, payloadType=97)
        self._decoder = get_decoder(self._codec)

    def decode(self, encoded: Encoded) -> Frame:
        data = b"".join(depayload(self._codec, payload) for payload in encoded.payloads)
        pictures = self._decoder.decode(JitterFrame(data, encoded.timestamp))
        assert len(pictures) == 1, "an encoder or decoder that delays pictures costs 33 ms each"
        assert isinstance(pictures[0], VideoFrame)
        return Frame.from_i420(Frame.from_av(pictures[0], 0.0).i420(), 0.0)


class Source:
    """Noise that moves: hard enough to need every bit it is given."""

    def __init__(self, size: int = 256) -> None:
        self._noise = np.random.default_rng(7).integers(60, 200, (size * 3 // 2, size), dtype=np.uint8)
        self._number = 0

    def next(self) -> Frame:
        self._number += 1
        return Frame.from_i420(np.ascontiguousarray(np.roll(self._noise, self._number * 3, axis=1)), 0.0)


def encode(encoder: Encoder, frame: Frame, number: int, *, key: bool = False, bps: int = BPS) -> Encoded:
    encoded = encoder.encode(frame, number * 3000, key=key, bps=bps, now_s=number / 30)
    assert encoded is not None
    return encoded


@NAMES
def test_colours_and_code_survive(name: str) -> None:
    encoder, decoder = Encoder(CODECS[name]), Decoder(name)
    for number in range(1, 20):
        decoded = decoder.decode(encode(encoder, draw(512, 320, number, level=77), number))
        assert framecode.read(decoded.planes()[0]) == (number, 77)
    error = np.abs(decoded.rgb()[250:300, 10:500].astype(int) - COLOUR)
    assert error.max() <= 4


@NAMES
def test_saturated_colours_are_tagged_with_their_matrix(name: str) -> None:
    encoder, decoder = Encoder(CODECS[name]), Decoder(name)
    for number, colour in enumerate([(0, 255, 0), (255, 0, 0), (0, 0, 255), (255, 255, 0), (255, 255, 255), (0, 0, 0)]):
        frame = Frame.from_rgb(np.full((64, 64, 3), colour, np.uint8), 0.0)
        decoded = decoder.decode(encode(encoder, frame, number, key=True))
        assert np.abs(decoded.rgb().astype(int) - colour).max() <= 4


def test_h264_says_which_matrix_it_uses() -> None:
    decoder = get_decoder(RTCRtpCodecParameters(mimeType="video/H264", clockRate=90_000, payloadType=97))
    codec = RTCRtpCodecParameters(mimeType="video/H264", clockRate=90_000, payloadType=97)
    encoded = encode(Encoder(CODECS["H264"]), draw(64, 64, 1), 1)
    (picture,) = decoder.decode(JitterFrame(b"".join(depayload(codec, p) for p in encoded.payloads), 0))
    assert isinstance(picture, VideoFrame)
    assert picture.colorspace == 6, "SMPTE 170M; untagged, Chromium shows pure green as (0, 216, 2)"


@NAMES
def test_a_keyframe_only_at_the_start_and_when_asked(name: str) -> None:
    encoder, source = Encoder(CODECS[name]), Source()
    keys = [encode(encoder, source.next(), n, key=n == 60).key for n in range(90)]
    assert [n for n, key in enumerate(keys) if key] == [0, 60]


@NAMES
def test_a_new_size_is_a_new_keyframe(name: str) -> None:
    encoder, decoder = Encoder(CODECS[name]), Decoder(name)
    for number, (width, height) in enumerate([(512, 512), (512, 512), (320, 576), (320, 576)]):
        encoded = encode(encoder, draw(width, height, number), number)
        decoded = decoder.decode(encoded)
        assert (decoded.width, decoded.height) == (width, height)
        assert encoded.key == (number in (0, 2))


def test_h264_follows_the_rate_in_place() -> None:
    encoder, source, shown = Encoder(CODECS["H264"]), Source(512), 0
    for bps in (3_000_000, 1_000_000, 500_000, 2_000_000, 5_000_000):
        pictures = [encode(encoder, source.next(), shown + number, bps=bps) for number in range(1, 61)]
        shown += 60
        assert not any(each.key for each in pictures[1:])
        sent_bps = sum(each.size_bytes for each in pictures[30:]) * 8
        assert 0.6 * bps < sent_bps < 1.3 * bps, f"{sent_bps} of {bps}"


def test_vp8_is_opened_anew_for_large_changes_only_and_not_often() -> None:
    encoder, source = Encoder(CODECS["VP8"]), Source()
    rates = [BPS] * 30 + [BPS * 8 // 10] * 200 + [BPS // 3] * 40 + [BPS] * 40
    keys = [n for n, bps in enumerate(rates) if encode(encoder, source.next(), n, bps=bps).key]
    assert keys == [0, 230]


@NAMES
def test_payloads_fit_into_packets(name: str) -> None:
    encoded = encode(Encoder(CODECS[name]), Source(512).next(), 0, bps=6_000_000)
    assert len(encoded.payloads) > 5
    assert max(map(len, encoded.payloads)) <= 1300


@NAMES
@pytest.mark.parametrize("bps", [500_000, 1_000_000])
def test_a_hard_picture_gets_no_more_than_it_may_have(name: str, bps: int) -> None:
    encoder = Encoder(CODECS[name])
    pictures = [encode(encoder, draw_noise(512, 512, n), n, key=n == 45, bps=bps) for n in range(75)]
    assert sum(each.size_bytes for each in pictures[15:45]) * 8 < 1.3 * bps
    assert pictures[45].key and pictures[45].size_bytes * 8 < 0.25 * bps, "a keyframe must fit through a full link"
