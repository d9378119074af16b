"""The words every room shares. Nothing here runs; nothing here imports a room.

A *pipeline* is weights and arithmetic; a *stream* is one running video with all its state; a *spec* is the row that
describes a pipeline without importing it. *Params* may change between two chunks, *options* only at load. A *session* is
one client's hold on the running picture; the *hub* is what sessions are opened on; an *endpoint* is a way in or out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from scope.frame import Frame

Change = dict[str, Any]  # parameter name -> value, as JSON knows it
Message = dict[str, Any]  # what is said to a client; always has a "type"
Mode = Literal["text", "video"]
Role = Literal["controller", "viewer"]
Lane = Literal["slow", "fast"]  # read once per chunk, or once per output frame


class Params(BaseModel):
    """What can change while a stream runs. A stage subclasses it; every surface is derived from it.

    A stream gets all values at every step; `model_fields_set` names those that were sent since the step before.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Options(BaseModel):
    """What is fixed when a pipeline is loaded. Clients send foreign keys here, so unknown ones are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class Size(Options):
    """Options of a pipeline that chooses the size of its picture."""

    height: int = Field(512, ge=16, le=4096, json_schema_extra={"ui": {"component": "resolution", "order": 4}})
    width: int = Field(512, ge=16, le=4096, json_schema_extra={"ui": {"component": "resolution", "order": 4}})


class PromptItem(BaseModel):
    """One prompt of a blend; only the ratio of the weights matters, and all-zero means equal."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)
    text: str = Field(max_length=10_000)
    weight: float = Field(1.0, ge=0.0, le=1e6)


def _as_items(value: Any) -> Any:
    """A client may send one text, a list of texts, or items."""
    if isinstance(value, str):
        return [{"text": value}]
    if isinstance(value, list | tuple):
        return [{"text": item} if isinstance(item, str) else item for item in value]
    return value


Prompts = Annotated[tuple[PromptItem, ...], BeforeValidator(_as_items), Field(max_length=32)]


def knob(default: float, low: float, high: float, help: str, *, lane: Lane = "slow", **ui: Any) -> Any:
    """A number someone will want under a finger."""
    hints: Any = {"category": "configuration", "is_load_param": False, "lane": lane, "modulatable": True} | ui
    return Field(default, ge=low, le=high, description=help, json_schema_extra={"ui": hints})


def choice(default: Any, help: str, *, lane: Lane = "slow", **ui: Any) -> Any:
    """A live parameter that is not a number: a switch, an enum, a text."""
    hints: Any = {"category": "configuration", "is_load_param": False, "lane": lane} | ui
    return Field(default, description=help, json_schema_extra={"ui": hints})


def cue(default: Any, help: str, **ui: Any) -> Any:
    """Something that happens once: read by one chunk, then back to its default."""
    hints: Any = {"category": "configuration", "is_load_param": False, "lane": "slow"} | ui
    return Field(default, description=help, json_schema_extra={"cue": True, "ui": hints})


def option(default: Any, help: str, **rest: Any) -> Any:
    """Fixed at load; `ui` hints and pydantic constraints may be mixed."""
    ui = {"category": "configuration", "is_load_param": True} | rest.pop("ui", {})
    return Field(default, description=help, json_schema_extra={"ui": ui}, **rest)


def cues(kind: type[Params]) -> frozenset[str]:
    """Names of the parameters of `kind` that are spent by the chunk that reads them."""
    extras = ((name, info.json_schema_extra) for name, info in kind.model_fields.items())
    return frozenset(name for name, extra in extras if isinstance(extra, dict) and extra.get("cue"))


class Stream(Protocol):
    """One running video: all the state there is, and the only thing that changes."""

    def wants(self, params: Any) -> int:
        """How many input frames the next step needs; 0 when it dreams on its own."""

    def step(self, params: Any, frames: Sequence[Frame]) -> Sequence[Frame]:
        """One chunk. May return fewer or more frames than it was given, or none."""

    def reset(self) -> None:
        """Forget the past: the next step starts a new shot."""


Rest = Callable[[], Sequence[Frame]]  # the second half of a step: call it once, in any thread


@runtime_checkable
class TwoStage(Protocol):
    """A stream may have this as well: its step in two halves, the second of which may run beside the next step's first."""

    def begin(self, params: Any, frames: Sequence[Frame]) -> Rest:
        """All of a step that later steps depend on. What it gives makes the frames; `step` is both halves in a row."""


@dataclass(frozen=True, slots=True)
class News:
    """What a stream says between two chunks: a message for every client, and sticky values it has itself brought about."""

    message: Message
    settled: Change = field(default_factory=dict)


@runtime_checkable
class Speaker(Protocol):
    """A stream may have this as well: it is asked after every step and reset."""

    def news(self) -> Sequence[News]: ...


@runtime_checkable
class Foresighted(Protocol):
    """A stream may have this as well."""

    def foresee(self, params: Any) -> None:
        """What the next step will be given, told as soon as it is known, from another thread: time to prepare beside a chunk."""


@runtime_checkable
class Timed(Protocol):
    """A stream may have this as well."""

    def timings(self) -> Mapping[str, float]:
        """How long each part of a chunk takes, in milliseconds (median of the latest), in the order of a chunk."""


class Pipeline(Protocol):
    """Weights and arithmetic, shared by any number of streams.

    It may have an `about: Change` that completes the status of whoever loaded it: `notice` (such as that it is not what was asked
    for), `loaded_lora_adapters`.
    """

    def open(self, mode: Mode) -> Stream: ...


@runtime_checkable
class Multiplying(Protocol):
    """A pipeline may have this as well."""

    rate_factor: float  # frames it makes of each that it is given; what a declared frame rate is multiplied by


@dataclass(frozen=True, slots=True)
class Spec:
    """A pipeline as a row: what it is called, what can be turned, how to build it. Importing a spec imports no model."""

    id: str
    name: str
    description: str
    params: type[Params]
    options: type[Options]
    load: str | None  # "module:function" taking (options, progress) and returning a Pipeline; None: not in this build
    modes: Mapping[Mode, Mapping[str, Any]]  # mode -> what it overrides (height, width, denoising_steps, ...)
    default_mode: Mode
    usage: tuple[Literal["preprocessor", "postprocessor"], ...] = ()
    frame_rate_hz: float | None = None  # declared output rate; None: as fast as it is made, or the source's own
    keeps_time: bool = False  # output frames carry the time of the input frames they came from
    supports_prompts: bool = False
    unavailable: str | None = None  # why it cannot be loaded here, and what to do about it
    estimated_vram_gb: float | None = None
    requires_models: bool = False
    min_dimension: int = 1
    plugin: str | None = None
    version: str = "1.0.0"
    docs_url: str | None = None
    traits: Mapping[str, Any] = field(default_factory=dict)  # further keys of the schema entry (supports_lora, ...)


class Frames(Protocol):
    """A queue of frames; `dropped` counts what it lost."""

    dropped: int

    def put(self, frame: Frame) -> None: ...

    def take(self, timeout_s: float) -> Frame | None:
        """The next frame in order; None when none came in time or the queue was closed."""

    @property
    def closed(self) -> bool: ...

    def close(self) -> None: ...


class Client(Protocol):
    """The far end of a session, as the hub sees it. Both methods may be called from any thread."""

    def tell(self, message: Message) -> None:
        """Say something to the client; never blocks. Said before the channel opens, it waits for that."""

    def dismiss(self, reason: str) -> None:
        """The session is over: tell the client why (`stream_stopped`) and close."""


class Session(Protocol):
    """One client's hold on the running picture."""

    id: str
    role: Role

    def put_frame(self, frame: Frame) -> None:
        """An input frame (camera, screen, file). Never blocks; ignored from a viewer."""

    def turn(self, message: Any) -> None:
        """A parameter message as it came from the client, checked here; complaints and acknowledgements go to the client."""

    def leave(self) -> None:
        """The client is gone. Harmless when repeated."""


@dataclass(frozen=True, slots=True)
class Join:
    """What a client says when it joins."""

    parameters: Change = field(default_factory=dict)  # contract 3.5: initialParameters
    role: Role = "controller"
    identity: str | None = None  # who it is, so that a reconnect of the same client wins at once
    brings_video: bool = False  # it offers a video track of its own


class Hub(Protocol):
    """What sessions are opened on: one loaded chain of pipelines and its picture."""

    def join(self, client: Client, how: Join) -> Session:
        """Open a session. Raises Unavailable when nothing is loaded, Busy when another controller holds it."""

    def outlet(self, capacity: int) -> Frames:
        """A fresh queue of output frames; each sink has its own, so a slow one delays nobody."""

    @property
    def current(self) -> Frame | None:
        """The picture shown now, for a sink that must show something at once."""


class Endpoint(Protocol):
    """One way in or out of a session: WebRTC, file, NDI, Spout, Syphon, OSC, MIDI."""

    async def open(self, hub: Hub, options: dict[str, Any]) -> dict[str, Any]:
        """Attach; the reply travels back to whoever asked (an SDP answer, a port, a path)."""

    async def close(self) -> None: ...
