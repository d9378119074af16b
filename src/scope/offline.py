"""A pipeline without a server: load it, take frames from it, write a file. What `scope run` does, and what scripts can do.

player = offline.load("longlive", width=320, height=192)
offline.write("clip.mp4", islice(player.play(prompts="a lighthouse"), 160))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from itertools import chain as joined
from itertools import islice
from pathlib import Path
from typing import Any

import av

from scope import catalog
from scope.contract import Change, Mode, Rest
from scope.errors import BadInput, BadParams
from scope.frame import Frame
from scope.runtime.chain import ChainStream, Link, about, main_spec, mode_for
from scope.runtime.door import Door
from scope.runtime.options import StageRequest, plan
from scope.runtime.params import Mailbox

USUAL_HZ = 16.0  # where neither the pipeline nor the frames say
QUALITY = {"crf": "18", "preset": "veryfast"}


class Player:
    """A loaded chain. Each `play` is a video of its own."""

    def __init__(self, links: Sequence[Link], options: Sequence[Change] = ()) -> None:
        """`options`: what each link was loaded with, for those who report it."""
        self.links, self.options = links, options
        self.notice: str = about(links).get("notice") or ""
        self._kinds = {link.node_id: link.spec.params for link in links}

    def play(self, source: Iterable[Frame] | None = None, **parameters: Any) -> Iterator[Frame]:
        """Frames, for ever without a source, else until it ends. Raises BadParams for what no stage understands."""
        return joined.from_iterable(self.chunks(self.open(source is not None), source, **parameters))

    def open(self, follows: bool) -> ChainStream:
        """A stream of its own, in video mode if it `follows` a source. Raises BadInput where there is no such mode."""
        wanted: Mode = "video" if follows else "text"
        mode = mode_for([link.spec for link in self.links], wanted)
        if mode != wanted:
            raise BadInput(f"{main_spec([link.spec for link in self.links]).name} has no {wanted} mode")
        return ChainStream(self.links, mode)

    def chunks(self, stream: ChainStream, source: Iterable[Frame] | None = None, **parameters: Any) -> Iterator[Sequence[Frame]]:
        """What `play` gives, in the bursts in which it is made. Raises BadParams."""
        box = Mailbox(self._kinds)
        box.put(self.checked(parameters))
        return self._chunks(stream, box, iter(source or ()))

    def checked(self, parameters: Change) -> dict[str, Change]:
        """Live parameters by the node that understands them. Raises BadParams."""
        checked = Door(self._kinds).check(parameters)
        if problems := [*checked.refused.values(), *(f"nothing here is called {name!r}" for name in checked.unknown)]:
            raise BadParams("; ".join(problems))
        return checked.accepted

    def _chunks(self, stream: ChainStream, box: Mailbox, source: Iterator[Frame]) -> Iterator[Sequence[Frame]]:
        """A chunk is finished beside the next one's first half."""
        with ThreadPoolExecutor(1, thread_name_prefix="chunk-finish") as beside:
            coming: Future[Sequence[Frame]] | None = None
            while (begun := self._begin(stream, box, source)) is not None:
                ready, coming = coming, beside.submit(begun)
                if ready is not None:
                    yield ready.result()
            if coming is not None:
                yield coming.result()

    def _begin(self, stream: ChainStream, box: Mailbox, source: Iterator[Frame]) -> Rest | None:
        """The next chunk's first half; None at the end of the source."""
        count = stream.wants(box.peek())
        frames = list(islice(source, count))
        if count and not frames:
            return None
        return stream.begin(box.take().params, frames + frames[-1:] * (count - len(frames)))


def load(*pipelines: str, progress: Callable[[str], None] = lambda text: None, **load_params: Any) -> Player:
    """A chain in this process. Raises what loading over HTTP would answer with."""
    known = catalog.load()
    stages = plan(known, [StageRequest(f"{number}-{name}", name, load_params) for number, name in enumerate(pipelines)])
    links = []
    for stage in stages:
        assert stage.spec.load is not None
        options = stage.spec.options.model_validate(stage.options)
        links.append(Link(stage.node_id, stage.spec, catalog.resolve(stage.spec.load)(options, progress)))
    return Player(links, [stage.options for stage in stages])


def read(path: Path | str) -> Iterator[Frame]:
    """The frames of a video file. Raises BadInput when it is none."""
    try:
        with av.open(str(path)) as file:
            if not file.streams.video:
                raise BadInput(f"{path} holds no video")
            for number, picture in enumerate(file.decode(video=0)):
                yield Frame.from_av(picture, picture.time if picture.time is not None else number / USUAL_HZ)
    except (av.error.FFmpegError, OSError) as error:
        raise BadInput(f"{path} cannot be read as video: {error}") from error


def rate_of(frames: Sequence[Frame]) -> Fraction:
    """Frames a second, from the times the first ones carry."""
    steps = [b.time_s - a.time_s for a, b in zip(frames, frames[1:], strict=False)]
    step_s = sum(steps) / len(steps) if steps else 0.0
    return Fraction(1 / step_s if step_s > 0.001 else USUAL_HZ).limit_denominator(1001)


def write(path: Path | str, frames: Iterable[Frame], rate_hz: float | None = None) -> int:
    """An H.264 file; gives how many frames went in. The rate, unless given, is that of the frames. Raises BadInput for none."""
    waiting = iter(frames)
    head = list(islice(waiting, 8))
    if not head:
        raise BadInput("there was no frame to write")
    rate = rate_of(head) if rate_hz is None else Fraction(rate_hz).limit_denominator(1001)
    count = 0
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=rate, options=QUALITY)
        stream.width, stream.height, stream.pix_fmt = head[0].width, head[0].height, "yuv420p"
        for count, frame in enumerate(joined(head, waiting), 1):
            picture = frame.to_av()
            picture.pts, picture.time_base = count - 1, 1 / rate
            file.mux(stream.encode(picture))
        file.mux(stream.encode(None))
    return count
