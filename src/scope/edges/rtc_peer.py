"""One client over WebRTC: its connection, the picture it is sent, the video it sends, and what is said."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from time import monotonic
from typing import Any

from aiortc import MediaStreamTrack, RTCDataChannel, RTCPeerConnection, RTCRtpTransceiver, RTCSessionDescription
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from scope.contract import Message, Session
from scope.edges import rtc_tuning
from scope.edges.broadcast import Broadcast, Viewer
from scope.edges.encoder import Encoded
from scope.edges.rtc_offer import PARSING_ERRORS, Offer
from scope.edges.rtc_talk import Talk
from scope.errors import BadInput
from scope.frame import Frame

log = logging.getLogger(__name__)

CONNECT_S = 20.0  # offered but never connected
FAREWELL_S = 0.3  # for `stream_stopped` to reach the client before the connection closes
CLOSE_S = 5.0
REFUSALS = (*PARSING_ERRORS, InternalError, InvalidAccessError, InvalidStateError, OperationError)


class PictureTrack(MediaStreamTrack):
    """The shared picture, for one m-line. It becomes a viewer when the connection first asks for a picture."""

    kind = "video"

    def __init__(self, broadcast: Broadcast, share: int, trouble: Callable[[str], None]) -> None:
        super().__init__()
        self.codec = "H264"
        self.packer = rtc_tuning.Packer(self)
        self._broadcast, self._share, self._trouble = broadcast, share, trouble
        self._viewer: Viewer | None = None

    async def recv(self) -> Encoded:  # type: ignore[override]  # Packer takes these where aiortc's encoder takes packets
        if self.readyState != "live":
            raise MediaStreamError
        if self._viewer is None:
            self._viewer = self._broadcast.watch(self.codec, self._trouble)
        encoded = await self._viewer.next()
        if encoded is None:
            raise MediaStreamError
        return encoded

    @property
    def dropped(self) -> int:
        return self._viewer.dropped if self._viewer else 0

    def ask_keyframe(self) -> None:
        if self._viewer is not None:
            self._viewer.ask_keyframe()

    def estimated(self, bps: int) -> None:
        """The estimate is for the whole connection; every picture on it gets an equal part."""
        if self._viewer is not None:
            self._viewer.rate.estimated(bps / self._share, self._viewer.relay.bps)

    def lost(self, fraction: float) -> None:
        if self._viewer is not None:
            self._viewer.rate.lost(fraction)

    def stop(self) -> None:
        super().stop()
        if self._viewer is not None:
            self._broadcast.leave(self._viewer)


class Peer:
    """A `contract.Client`. `tell` and `dismiss` may be called from any thread."""

    def __init__(self, connection: RTCPeerConnection, offer: Offer, broadcast: Broadcast, gone: Callable[[Peer], None]) -> None:
        self.offer = offer
        self.session: Session | None = None
        self.frames_in = 0
        self._connection, self._broadcast, self._gone = connection, broadcast, gone
        self._loop = asyncio.get_running_loop()
        self._talk = Talk(self._loop, self._hear)
        self._tracks: list[PictureTrack] = []
        self._input: RTCRtpTransceiver | None = None
        self._reading: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._deadline = self._loop.call_later(CONNECT_S, self.close)
        self._began_s = monotonic()
        self._gap_in_s, self._last_in_s = 1.0, float("-inf")
        connection.on("connectionstatechange", self._changed)
        connection.on("datachannel", self._opened)

    # for the hub

    def tell(self, message: Message) -> None:
        self._talk.tell(message)

    def dismiss(self, reason: str) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and the client with it
            self._loop.call_soon_threadsafe(self._dismiss, reason)

    # for the edge

    async def accept(self, *, playout_delay: bool, loopback: bool) -> None:
        """Understand the offer; no socket is open yet. Raises BadInput."""
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(self.offer.sdp, "offer"))
        except REFUSALS as error:
            raise BadInput(f"The offer cannot be answered: {error or type(error).__name__}") from error
        for transceiver in self._connection.getTransceivers():
            if transceiver.kind == "video":
                self._prepare(transceiver, playout_delay=playout_delay)
            else:
                transceiver.direction = "inactive"  # there is no sound yet
        rtc_tuning.tune_ice(self._connection, loopback=loopback)

    async def answer(self) -> str:
        """Open the sockets; the answer holds every candidate."""
        try:
            await self._connection.setLocalDescription()
        except REFUSALS as error:
            raise BadInput(f"The offer cannot be answered: {error or type(error).__name__}") from error
        if self._input is not None:
            self._reading = self._loop.create_task(self._read(self._input.receiver.track))
        return self.offer.answered(self._connection.localDescription.sdp)

    async def add_candidate(self, said: dict[str, Any]) -> None:
        candidate = self.offer.candidate(said)
        if candidate is not None and self._ending is None:
            await self._connection.addIceCandidate(candidate)

    def close(self) -> asyncio.Task[None]:
        """Begin to end; await what it returns to be sure that all is freed. Harmless when repeated."""
        if self._ending is None:
            self._ending = self._loop.create_task(self._close())
        return self._ending

    def figures(self) -> dict[str, Any]:
        encoder = self._broadcast.figures(self._tracks[0].codec) if self._tracks else {}
        silent = monotonic() - self._last_in_s > 1
        return {
            "state": self._connection.connectionState,
            "codec": self._tracks[0].codec if self._tracks else None,
            "packets": sum(track.packer.packets for track in self._tracks),
            "dropped": sum(track.dropped for track in self._tracks),
            "frames_in": self.frames_in,
            "input_fps": 0.0 if silent else round(1 / self._gap_in_s, 1),
            "seconds": round(monotonic() - self._began_s, 1),
            **encoder,
        }

    # inside

    def _prepare(self, transceiver: RTCRtpTransceiver, *, playout_delay: bool) -> None:
        """Every video m-line shows the picture; the first that the client may send on is the input."""
        is_input = transceiver.mid == self.offer.input_mid
        transceiver.direction = "sendrecv" if is_input else "sendonly"
        track = PictureTrack(self._broadcast, len(self.offer.video), self.dismiss)
        rtc_tuning.tune_sender(transceiver.sender, track.packer, track)
        transceiver.sender.replaceTrack(track)
        if playout_delay:
            rtc_tuning.agree_on_playout_delay(transceiver, self.offer.extensions(transceiver.mid))
        if not self.offer.states_preference:
            rtc_tuning.put_first(transceiver, "H264")
        track.codec = rtc_tuning.chosen_codec(transceiver)
        self._tracks.append(track)
        if is_input:
            self._input = transceiver
            rtc_tuning.tune_receiver(transceiver.receiver)

    def _hear(self, message: dict[str, Any]) -> None:
        if self.session is not None:
            self.session.turn(message)

    def _opened(self, channel: RTCDataChannel) -> None:
        self._talk.attach(channel)

    def _changed(self) -> None:
        state = self._connection.connectionState
        if state == "connected":
            self._deadline.cancel()
        elif state in ("failed", "closed"):
            self.close()

    async def _read(self, track: MediaStreamTrack) -> None:
        """The client's video, as it is decoded."""
        assert self.session is not None
        try:
            while True:
                picture = await track.recv()
                assert isinstance(picture, VideoFrame)
                self.session.put_frame(Frame.from_av(picture, monotonic() if picture.time is None else picture.time))
                self._count_in(monotonic())
        except MediaStreamError:
            return  # the client stopped sending
        except Exception as error:  # the top of the task; the client is told
            log.exception("the incoming video failed")
            self.tell({"type": "warning", "code": "input", "message": f"The incoming video cannot be used: {error}"})

    def _count_in(self, now_s: float) -> None:
        self.frames_in += 1
        self._gap_in_s += 0.1 * (min(now_s - self._last_in_s, 1.0) - self._gap_in_s)
        self._last_in_s = now_s

    def _dismiss(self, reason: str) -> None:
        self._talk.tell({"type": "stream_stopped", "error_message": reason})
        self._loop.call_later(FAREWELL_S, self.close)

    async def _close(self) -> None:
        self._deadline.cancel()
        if self.session is not None:
            self.session.leave()
        for track in self._tracks:
            track.stop()
        if self._reading is not None:
            self._reading.cancel()
        try:
            await asyncio.wait_for(self._connection.close(), CLOSE_S)
        except TimeoutError:
            log.warning("a WebRTC connection did not close within %g s", CLOSE_S)
        finally:
            self._gone(self)
