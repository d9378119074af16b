"""A picture in, RTP payloads out: libx264 and libvpx set for latency, opened once and turned in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from av import CodecContext, Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from scope.edges.rate import ceiling_bps, start_bps
from scope.frame import Frame

RATE_HZ = 30  # what the encoders count with; a faster picture gets proportionally fewer bits per frame
TICK = Fraction(1, RATE_HZ)
BUFFER_S = 0.28  # a keyframe may take this much of the link
ENDLESS = 1 << 20  # frames between keyframes that nobody asked for
TURN_RATIO = 0.03  # smaller changes of the rate are not worth a call
REOPEN_RATIO, REOPEN_S = 0.25, 4.0  # for a codec that cannot be turned in place: each time costs a keyframe
TAGS = "colormatrix=smpte170m:colorprim=smpte170m:transfer=smpte170m"  # untagged, Chromium is off by up to 39/255


@dataclass(frozen=True, slots=True)
class Encoded:
    """One picture, ready to be sent to any number of viewers."""

    payloads: tuple[bytes, ...]
    timestamp: int  # 90 kHz
    key: bool  # can be decoded without what came before

    @property
    def size_bytes(self) -> int:
        return sum(map(len, self.payloads))


@dataclass(frozen=True, slots=True)
class Codec:
    """A codec as a row."""

    name: str  # as SDP spells it
    library: str
    options: Callable[[int, int], dict[str, str]]  # (pixels, bit rate) -> what the library is opened with
    packer: Callable[[], H264Encoder | Vp8Encoder]  # cuts a packet into RTP payloads
    turns: bool  # follows `bit_rate` while open


def _x264(pixels: int, bps: int) -> dict[str, str]:
    """x264 follows a new bit rate only when opened as CBR, and never beyond the rate it was opened with."""
    top_bps = ceiling_bps(pixels)
    buffer_bits = max(int(start_bps(pixels) * BUFFER_S), top_bps // RATE_HZ * 3 // 2)
    rate = {"b": str(top_bps), "maxrate": str(top_bps), "bufsize": str(buffer_bits)}
    return rate | {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "profile": "baseline",
        "forced-idr": "1",
        "x264-params": f"{TAGS}:scenecut=0",
    }


def _vpx(pixels: int, bps: int) -> dict[str, str]:
    """minrate = maxrate makes it CBR; -12 is the fastest that does not smear (-16 was worse)."""
    rate = {"b": str(bps), "minrate": str(bps), "maxrate": str(bps), "bufsize": str(int(bps * BUFFER_S))}
    return rate | {
        "deadline": "realtime",
        "cpu-used": "-12",
        "lag-in-frames": "0",
        "undershoot-pct": "100",
        "overshoot-pct": "15",
        "static-thresh": "1",
        "qmin": "2",
        "qmax": "63",  # 56 sends 1.6 Mbit/s of a hard picture when told 0.5
        "max-intra-rate": "300",  # percent of a picture: a keyframe of half a second never gets through a full link
    }


CODECS: Mapping[str, Codec] = {
    "H264": Codec("H264", "libx264", _x264, H264Encoder, turns=True),
    "VP8": Codec("VP8", "libvpx", _vpx, Vp8Encoder, turns=False),
}


class Encoder:
    """One codec's encoder. Opened anew when the size changes, and when the rate does for a codec that cannot be turned."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._packer = codec.packer()
        self._context: VideoCodecContext | None = None
        self._bps = 0  # what the open context was last told
        self._opened_s = 0.0
        self._count = 0

    def encode(self, frame: Frame, timestamp: int, *, key: bool, bps: int, now_s: float) -> Encoded | None:
        """None when the codec swallowed the picture."""
        context = self._turned(frame, key, bps, now_s)
        picture = frame.to_av()
        picture.pts, picture.time_base = self._count, TICK
        picture.pict_type = PictureType.I if key else PictureType.NONE
        self._count += 1
        packets = context.encode(picture)
        if not packets:
            return None
        packet = packets[0] if len(packets) == 1 else Packet(b"".join(bytes(each) for each in packets))
        packet.pts, packet.time_base = 0, TICK  # the packer wants one; the time that counts is the caller's
        payloads, _ = self._packer.pack(packet)
        return Encoded(tuple(payloads), timestamp, any(each.is_keyframe for each in packets))

    def _turned(self, frame: Frame, key: bool, bps: int, now_s: float) -> VideoCodecContext:
        """The open context, at the rate wanted."""
        context = self._context
        if context is None or (context.width, context.height) != (frame.width, frame.height):
            return self._open(frame, bps, now_s)
        change = abs(bps - self._bps) / self._bps
        if self._codec.turns:
            if change > TURN_RATIO:
                context.bit_rate = self._bps = bps
            return context
        if change > REOPEN_RATIO and (key or now_s - self._opened_s > REOPEN_S):  # a keyframe wanted anyway costs nothing
            return self._open(frame, bps, now_s)
        return context

    def _open(self, frame: Frame, bps: int, now_s: float) -> VideoCodecContext:
        context = CodecContext.create(self._codec.library, "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height, context.pix_fmt = frame.width, frame.height, "yuv420p"
        context.time_base, context.framerate = TICK, Fraction(RATE_HZ)
        context.gop_size = ENDLESS
        context.thread_count = 1  # two threads spin: 93 ms instead of 8 ms a frame on a busy machine
        context.options = self._codec.options(frame.width * frame.height, bps)
        context.open()
        if self._codec.turns:
            context.bit_rate = bps
        self._context, self._bps, self._opened_s = context, bps, now_s
        return context
