"""One picture, as RGB or as planar YUV, whichever it was made as; the other is made on demand, once.

Colour is BT.601, limited range, everywhere in Scope: it is what WebRTC's VP8 means and what our H.264 is tagged with.
I420 is the layout codecs eat: Y [height, width], then U and V [height/2, width/2], in one contiguous block of
height * 3 // 2 rows of `width` bytes. It needs even sizes, so an odd picture is padded by repeating its last row or column.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Planes = tuple[Bytes, Bytes, Bytes]  # Y, U, V; rows may be padded (strided), as decoders hand them out


class Frame:
    """A picture with its time. Treat the pixels as read-only: they may be shared memory or another stage's."""

    __slots__ = ("_i420", "_planes", "_rgb", "height", "index", "mask", "time_s", "width")

    def __init__(
        self,
        width: int,
        height: int,
        time_s: float,
        *,
        rgb: Bytes | None = None,
        i420: Bytes | None = None,
        planes: Planes | None = None,
    ) -> None:
        self.width, self.height = width, height
        self.time_s = time_s  # seconds on the source's own clock
        self.index = 0  # number of the output frame, given by the output clock
        self.mask: Bytes | None = None  # [rows, columns], any size: what a later stage is to make anew (255) or keep (0)
        self._rgb, self._i420, self._planes = rgb, i420, planes

    @classmethod
    def from_rgb(cls, pixels: Bytes, time_s: float) -> Frame:
        """`pixels` [height, width, 3] uint8."""
        height, width = pixels.shape[:2]
        even = _even(pixels)
        return (
            cls(even.shape[1], even.shape[0], time_s, rgb=even)
            if (height | width) & 1
            else cls(width, height, time_s, rgb=pixels)
        )

    @classmethod
    def from_i420(cls, block: Bytes, time_s: float) -> Frame:
        """`block` [height * 3 // 2, width] uint8, contiguous, even sizes."""
        rows, width = block.shape
        return cls(width, rows * 2 // 3, time_s, i420=block)

    @classmethod
    def from_av(cls, picture: VideoFrame, time_s: float) -> Frame:
        """A decoded picture; yuv420p of even size is used in place, anything else converted once."""
        if picture.format.name != "yuv420p" or (picture.width | picture.height) & 1:
            return cls.from_rgb(_array(picture, "rgb24"), time_s)
        y, u, v = (_plane(picture, i) for i in range(3))
        return cls(picture.width, picture.height, time_s, planes=(y, u, v))

    @property
    def i420_bytes(self) -> int:
        return self.width * self.height * 3 // 2

    def rgb(self) -> Bytes:
        """[height, width, 3] uint8, contiguous."""
        if self._rgb is None:
            self._rgb = _to_rgb(self.i420())
        return self._rgb

    def i420(self) -> Bytes:
        """[height * 3 // 2, width] uint8, contiguous."""
        if self._i420 is None:
            if self._planes is not None:
                block = np.empty((self.height * 3 // 2, self.width), np.uint8)
                self.write_i420(block.reshape(-1))
                self._i420 = block
            else:
                assert self._rgb is not None
                self._i420 = _to_i420(self._rgb)
        return self._i420

    def write_i420(self, out: Bytes) -> None:
        """Copy the I420 block into `out` [height * width * 3 // 2], without a copy in between where it can be helped."""
        if self._planes is None or self._i420 is not None:
            out[:] = self.i420().reshape(-1)
            return
        start = 0
        for plane in self._planes:
            end = start + plane.size
            out[start:end].reshape(plane.shape)[:] = plane
            start = end

    def planes(self) -> Planes:
        """Y [h, w], U and V [h/2, w/2] as views."""
        if self._planes is not None and self._i420 is None:
            return self._planes
        return split_i420(self.i420())

    def redrawn(self, planes: Planes, mask: Bytes | None = None) -> Frame:
        """Another picture of the same size in this one's place: same time, and the same mask unless another is given."""
        other = Frame(self.width, self.height, self.time_s, planes=planes)
        other.mask = self.mask if mask is None else mask
        return other

    def copied(self) -> Frame:
        """The same picture in memory of its own, for those who keep it long."""
        copy = Frame.from_i420(np.array(self.i420()), self.time_s)
        copy.index = self.index
        return copy

    def to_av(self) -> VideoFrame:
        """The picture as libav sees it: yuv420p, without a copy where PyAV can count its rows."""
        exact = self.height % 4 == 0  # from_numpy_buffer takes rows // 6 * 4 for the height
        make = VideoFrame.from_numpy_buffer if exact else VideoFrame.from_ndarray
        picture = make(self.i420(), format="yuv420p")
        picture.colorspace = Colorspace.SMPTE170M
        picture.color_range = ColorRange.MPEG
        return picture


def split_i420(block: Bytes) -> Planes:
    """Views of Y, U and V in a contiguous I420 block."""
    rows, width = block.shape
    height = rows * 2 // 3
    flat, luma, chroma = block.reshape(-1), height * width, height * width // 4
    half = (height // 2, width // 2)
    return (
        flat[:luma].reshape(height, width),
        flat[luma : luma + chroma].reshape(half),
        flat[luma + chroma :].reshape(half),
    )


def _plane(picture: VideoFrame, index: int) -> Bytes:
    plane = picture.planes[index]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]


def _even(pixels: Bytes) -> Bytes:
    height, width = pixels.shape[:2]
    return np.pad(pixels, ((0, height & 1), (0, width & 1), (0, 0)), mode="edge")


def _to_i420(rgb: Bytes) -> Bytes:
    picture = VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    converted = picture.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.MPEG)
    return _array(converted)


def _to_rgb(i420: Bytes) -> Bytes:
    picture = VideoFrame.from_ndarray(i420, format="yuv420p")
    converted = picture.reformat(
        format="rgb24", src_colorspace=Colorspace.ITU601, src_color_range=ColorRange.MPEG, dst_color_range=ColorRange.JPEG
    )
    return _array(converted)


def _array(picture: VideoFrame, layout: str | None = None) -> Bytes:
    array: NDArray[Any] = picture.to_ndarray(format=layout)
    return array
