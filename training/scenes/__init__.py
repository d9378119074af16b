"""Captioned video made by rule: what the bundled models learn from. Deterministic by seed, at any resolution."""

from training.scenes.camera import camera
from training.scenes.caption import caption, named, shot_of
from training.scenes.clip import FPS, PAINTERS, Change, Shot, altered, drawn, motions, render

__all__ = ["FPS", "PAINTERS", "Change", "Shot", "altered", "camera", "caption", "drawn", "motions", "named", "render", "shot_of"]
