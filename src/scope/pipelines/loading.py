"""Loading a row of the family in the worker: which weights, whether they fit, and one part after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from scope.contract import Mode
from scope.errors import BadInput, NotFound, Unavailable
from scope.pipelines import bundled, official
from scope.pipelines.device import cores, stage_threads, work_device
from scope.pipelines.diffusion import DiffusionStream
from scope.pipelines.family import FOUR_STEPS, ScheduleName, WanOptions
from scope.pipelines.images import Images
from scope.pipelines.loras import attach
from scope.pipelines.memory_plan import Plan, check, free_bytes
from scope.pipelines.nano import STEPS, NanoOptions
from scope.pipelines.parts import Parts, untrained
from scope.pipelines.recipes import RECIPES, Recipe, shaped
from scope.pipelines.rules import Seeded
from scope.settings import Settings, from_environment

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Diffusion:
    """A loaded row: any number of streams share its weights."""

    recipe: Recipe
    parts: Parts
    seed: int
    notice: str = ""
    memory: Plan | None = None  # what it was planned to take, where that had to be known
    overlap: bool = False  # streams decode beside the next chunk
    schedule: ScheduleName = "sequential"

    @property
    def about(self) -> dict[str, Any]:
        """For the status of whoever loaded it."""
        loras = [item.model_dump() for item in self.parts.loras.values()]
        memory = {"planned_memory_gib": self.memory.as_json()} if self.memory else {}
        return {"notice": self.notice or None, "loaded_lora_adapters": loras or None, **memory}

    def open(self, mode: Mode) -> DiffusionStream:
        noises = Seeded(self.seed)
        return DiffusionStream(self.recipe, self.parts, mode, noises, overlap=self.overlap, schedule=self.schedule)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be loaded, where to, and where from."""

    recipe: Recipe
    options: WanOptions
    device: torch.device
    home: Settings
    progress: Progress

    @property
    def vace(self) -> bool:
        """Whether to load VACE: as asked, or where its weights are."""
        asked = self.options.vace_enabled
        if asked is None and self.options.schedule == "sequential":
            return official.has(self.recipe.vace, self.home.models_dir)
        return bool(asked)


def load(name: str, options: WanOptions, progress: Progress) -> Diffusion:
    """The row called `name`.

    Raises NotFound or Unavailable when it was to be the published weights and cannot be, BadInput for what the row does not do.
    """
    if options.schedule == "batch" and options.vace_enabled:
        raise BadInput("VACE steers one chunk at a time: leave out vace_enabled, or schedule 'batch'")
    device = work_device()
    recipe = shaped(RECIPES[name], chunk=options.chunk, batch=options.schedule == "batch")
    if options.denoising_steps != FOUR_STEPS:  # the default of the schema stands for "as the mode has it"
        recipe = with_steps(recipe, options.denoising_steps)
    found = SOURCES[options.weights](Order(recipe, options, device, from_environment(), progress))
    return replace(found, overlap=overlaps(options.overlap, device))


def load_nano(options: NanoOptions, progress: Progress) -> Diffusion:
    """The row `nano`. Raises Unavailable in a build without its weights."""
    progress("Loading the bundled model...")
    home, device = from_environment(), work_device()
    parts = bundled.parts(options.height, options.width, home, device)
    adapters, loras = attach(parts.net, options, home)
    recipe = bundled.RECIPE if options.denoising_steps == STEPS else with_steps(bundled.RECIPE, options.denoising_steps)
    parts = replace(parts, adapters=adapters, loras=loras)
    return Diffusion(recipe, parts, options.base_seed, overlap=overlaps(None, device))


def overlaps(asked: bool | None, device: torch.device) -> bool:
    """Whether streams decode beside the next chunk: as asked, or with a GPU or two cores."""
    overlap = device.type == "cuda" or cores() > 1 if asked is None else asked
    if device.type == "cpu" and overlap:
        stage_threads(2)
    return overlap


def with_steps(recipe: Recipe, steps: tuple[int, ...]) -> Recipe:
    """The same in both modes."""
    return replace(recipe, text_steps=steps, video_steps=steps)


def _official(order: Order) -> Diffusion:
    order.progress("Checking weights and memory...")
    official.require(order.recipe, order.options, order.home.models_dir, vace=order.vace)
    width = 2 if order.device.type == "cuda" else 4
    memory = check(order.recipe, order.options, free_bytes(order.device), vace=order.vace, width=width)
    parts = official.parts(order.recipe, order.options, order.device, order.home, order.progress, vace=order.vace)
    return Diffusion(order.recipe, parts, order.options.base_seed, memory=memory, schedule=order.options.schedule)


def _auto(order: Order) -> Diffusion:
    """The published weights where they are and fit; else a preview that says why."""
    if why := _why_not(order):
        return _preview(order, f"This is Nano, the small bundled model, as a preview of the one you asked for: {why}.")
    return _official(order)


def _why_not(order: Order) -> str:
    """What speaks against the published weights here."""
    if order.device.type != "cuda":
        return "there is no CUDA device here, and the full model would take minutes for a second of video"
    try:
        official.require(order.recipe, order.options, order.home.models_dir, vace=order.vace)
        check(order.recipe, order.options, free_bytes(order.device), vace=order.vace)
    except (NotFound, Unavailable) as error:
        return str(error)
    return ""


def _preview(order: Order, notice: str = "This is Nano, the small bundled model, as a preview.") -> Diffusion:
    order.progress("Loading the small preview...")
    parts = bundled.parts(order.options.height, order.options.width, order.home, order.device)
    left_out = " LoRAs are left out." if order.options.loras else ""
    return Diffusion(bundled.RECIPE, parts, order.options.base_seed, notice + left_out)


def _random(order: Order) -> Diffusion:
    order.progress("Making random weights...")
    parts = untrained(order.recipe, order.options, order.device, images=Images(order.home.assets_dir))
    adapters, loras = attach(parts.net, order.options, order.home)
    parts = replace(parts, adapters=adapters, loras=loras)
    notice = "Random weights: good for measuring, not for looking at."
    return Diffusion(order.recipe, parts, order.options.base_seed, notice, schedule=order.options.schedule)


SOURCES: dict[str, Callable[[Order], Diffusion]] = {
    "auto": _auto,
    "official": _official,
    "preview": _preview,
    "random": _random,
}
longlive, streamdiffusionv2, krea_realtime_video, reward_forcing, memflow = (
    partial(load, name) for name in ("longlive", "streamdiffusionv2", "krea-realtime-video", "reward-forcing", "memflow")
)
