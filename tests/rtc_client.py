"""A WebRTC client for tests and benchmarks: offers, shows nothing, and writes down every number it reads in the picture.

    async with RtcClient(post_offer) as client:
        await client.connect()
        sighting = await client.first_frame()

`post_offer` takes the body of POST /api/v1/webrtc/offer and returns its reply, so that the same client works against the
bare edge and over HTTP.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from fractions import Fraction
from time import monotonic
from typing import Any, Self

import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame
from numpy.typing import NDArray

from scope.edges import rtc_tuning
from scope.frame import Frame
from scope.pipelines import framecode

Body = dict[str, Any]
PostOffer = Callable[[Body], Awaitable[Body]]
CLOCK_HZ = 90_000


@dataclass(frozen=True, slots=True)
class Sighting:
    """A picture that arrived."""

    time_s: float  # on time.monotonic(), when it had been decoded
    number: int | None  # None: no readable code in it
    level: int | None
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What to offer."""

    direction: str = "sendrecv"
    codecs: tuple[str, ...] = ()  # e.g. ("H264",); empty: aiortc's own list, VP8 first
    extra_video: int = 0  # further recvonly video m-lines
    audio: bool = False  # a recvonly audio m-line, as browsers send
    channel: str | None = "parameters"
    camera: tuple[int, int, float] | None = None  # width, height, rate of a numbered picture to send
    playout_delay: bool = True
    parameters: Body | None = None  # initialParameters
    more: Body = field(default_factory=dict)  # further keys of the offer's body (role, client_id, ...)


class Camera(MediaStreamTrack):
    """A numbered picture, evenly paced. `sent_s` remembers when each number was handed to the encoder."""

    kind = "video"

    def __init__(self, width: int, height: int, rate_hz: float) -> None:
        super().__init__()
        self.sent_s: dict[int, float] = {}
        self.level = 0
        self._rate_hz = rate_hz
        self._pixels = np.full((height * 3 // 2, width), 128, np.uint8)
        self._height = height
        self._began_s: float | None = None
        self._number = 0

    async def recv(self) -> VideoFrame:
        if self.readyState != "live":
            raise MediaStreamError
        self._began_s = self._began_s or monotonic()
        due_s = self._began_s + self._number / self._rate_hz
        await asyncio.sleep(max(0.0, due_s - monotonic()))
        self._number += 1
        pixels = self._pixels.copy()
        framecode.draw(pixels[: self._height], self._number, self.level)
        picture = Frame.from_i420(pixels, due_s).to_av()
        picture.pts, picture.time_base = int((due_s - self._began_s) * CLOCK_HZ), Fraction(1, CLOCK_HZ)
        self.sent_s[self._number] = monotonic()
        return picture


class RtcClient:
    def __init__(self, post_offer: PostOffer, wish: Wish | None = None) -> None:
        self.wish = wish or Wish()
        self.sightings: list[Sighting] = []  # of the first video m-line
        self.extra_sightings: list[list[Sighting]] = [[] for _ in range(self.wish.extra_video)]
        self.messages: list[Body] = []
        self.reply: Body = {}
        self.offered_s = self.connected_s = 0.0
        self.last_picture: VideoFrame | None = None
        self.camera = Camera(*self.wish.camera) if self.wish.camera else None
        self.channel: RTCDataChannel | None = None
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._post_offer = post_offer
        self._watching: list[asyncio.Task[None]] = []
        self._news = asyncio.Condition()
        self.connection.on("connectionstatechange", self._changed)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def session_id(self) -> str:
        return str(self.reply["sessionId"])

    @property
    def state(self) -> str:
        return self.connection.connectionState

    @property
    def numbers(self) -> list[int]:
        return [sighting.number for sighting in self.sightings if sighting.number is not None]

    async def offer(self) -> Body:
        """The body to post; made by `connect`, or by a test that wants to change it first."""
        wish = self.wish
        if wish.channel is not None:
            self.channel = self.connection.createDataChannel(wish.channel)
            self.channel.on("message", self._said)
        self._add_video()
        for _ in range(wish.extra_video):
            self.connection.addTransceiver("video", direction="recvonly")
        if wish.audio:
            self.connection.addTransceiver("audio", direction="recvonly")
        capabilities = RTCRtpSender.getCapabilities("video").codecs
        for transceiver in self.connection.getTransceivers():
            if transceiver.kind == "video":
                rtc_tuning.tune_receiver(transceiver.receiver)
                if wish.codecs:
                    wanted = [each for name in wish.codecs for each in capabilities if each.name in (name, "rtx")]
                    transceiver.setCodecPreferences(wanted)
        rtc_tuning.tune_ice(self.connection, loopback=True)
        await self.connection.setLocalDescription()
        sdp = self.connection.localDescription.sdp
        if wish.playout_delay:
            sdp = re.sub(r"(m=video .*\r\n)", rf"\1a=extmap:9 {rtc_tuning.PLAYOUT_DELAY}\r\n", sdp)
        body: Body = {"sdp": sdp, "type": "offer"} | wish.more
        return body if wish.parameters is None else body | {"initialParameters": wish.parameters}

    async def connect(self, timeout_s: float = 10.0) -> None:
        """Offer, take the answer, and wait for the connection."""
        body = await self.offer()
        self.offered_s = monotonic()
        await self.answered(await self._post_offer(body))
        await self.wait(lambda: self.state != "new" and self.state != "connecting", timeout_s)
        assert self.state == "connected", self.state

    async def answered(self, reply: Body) -> None:
        self.reply = reply
        await self.connection.setRemoteDescription(RTCSessionDescription(reply["sdp"], reply["type"]))
        video = [each for each in self.connection.getTransceivers() if each.kind == "video"]
        for transceiver, seen in zip(video, [self.sightings, *self.extra_sightings], strict=True):
            if transceiver.currentDirection in ("recvonly", "sendrecv"):
                self._watching.append(asyncio.create_task(self._watch(transceiver.receiver.track, seen)))

    async def first_frame(self, timeout_s: float = 10.0) -> Sighting:
        return await self.frame(lambda sighting: True, timeout_s)

    async def frame(self, wanted: Callable[[Sighting], bool], timeout_s: float = 10.0) -> Sighting:
        """The first picture so far, or from now on, that is `wanted`."""
        found: list[Sighting] = []
        checked = 0

        def look() -> bool:
            nonlocal checked
            fresh, checked = self.sightings[checked:], len(self.sightings)
            found.extend(filter(wanted, fresh))
            return bool(found)

        await self.wait(look, timeout_s)
        return found[0]

    async def message(self, kind: str, timeout_s: float = 5.0) -> Body:
        """The first message of that type, so far or from now on."""
        await self.wait(lambda: any(each.get("type") == kind for each in self.messages), timeout_s)
        return next(each for each in self.messages if each.get("type") == kind)

    async def send(self, message: Body | str | bytes, timeout_s: float = 5.0) -> None:
        channel = self.channel
        assert channel is not None
        await self.wait(lambda: channel.readyState == "open", timeout_s)
        channel.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def wait(self, met: Callable[[], bool], timeout_s: float) -> None:
        """Until `met`, asked at every arrival. Raises TimeoutError."""
        deadline_s = monotonic() + timeout_s
        while not met():
            if (left_s := deadline_s - monotonic()) <= 0:
                raise TimeoutError(f"nothing of the kind within {timeout_s} s; the connection is {self.state}")
            async with self._news:
                try:
                    await asyncio.wait_for(self._news.wait(), min(left_s, 0.05))
                except TimeoutError:
                    continue

    def fps(self, since_s: float, until_s: float) -> float:
        """Different pictures a second."""
        return len({s.number for s in self.sightings if since_s <= s.time_s < until_s}) / (until_s - since_s)

    async def close(self) -> None:
        for task in self._watching:
            task.cancel()
        await self.connection.close()

    async def vanish(self) -> None:
        """Be gone without a word, as if the cable were cut: nothing is sent or received any more."""
        for task in self._watching:
            task.cancel()
        transports = {each.receiver.transport.transport for each in self.connection.getTransceivers()}
        if self.connection.sctp is not None:  # on the same one as the video once that is agreed on
            transports.add(self.connection.sctp.transport.transport)
        for transport in transports:
            for protocol in transport._connection._protocols:
                protocol.transport.abort()

    def luma(self) -> NDArray[np.uint8]:
        """Of the last picture."""
        assert self.last_picture is not None
        return Frame.from_av(self.last_picture, 0.0).planes()[0]

    def rgb(self) -> NDArray[np.uint8]:
        """The last picture, read as BT.601 limited range."""
        assert self.last_picture is not None
        return Frame.from_i420(Frame.from_av(self.last_picture, 0.0).i420(), 0.0).rgb()

    def _add_video(self) -> None:
        if self.camera is None:
            self.connection.addTransceiver("video", direction=self.wish.direction)
        else:
            self.connection.addTransceiver(self.camera, direction=self.wish.direction)

    async def _watch(self, track: MediaStreamTrack, seen: list[Sighting]) -> None:
        while True:
            try:
                picture = await track.recv()
            except MediaStreamError:
                return
            assert isinstance(picture, VideoFrame)
            now_s = monotonic()
            if seen is self.sightings:
                self.last_picture = picture
            code = framecode.read(Frame.from_av(picture, 0.0).planes()[0])
            number, level = code if code is not None else (None, None)
            seen.append(Sighting(now_s, number, level, picture.width, picture.height))
            await self._tell()

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    def _said(self, data: str | bytes) -> None:
        self.messages.append(json.loads(data))
        self._wake()

    def _changed(self) -> None:
        if self.state == "connected":
            self.connected_s = monotonic()
        self._wake()

    def _wake(self) -> None:
        self._waking = asyncio.ensure_future(self._tell())
