"""Captions for shots: synonyms, word order, short and long; and back from a caption to what it names."""

from __future__ import annotations

from scope.models.nano_words import Slot, phrases, understood
from training.scenes.clip import Shot
from training.scenes.field import Dice

OPENINGS = ("", "", "", "a video of ", "a scene with ", "view of ", "an image of ")
SLOTS: tuple[Slot, ...] = ("scene", "palette", "motion", "speed", "style", "time")
PLAIN = 0.45  # share of the plainest word for a concept
ORDERS = (
    "speed style palette scene motion time",
    "style palette scene time motion speed",
    "palette scene style motion speed time",
    "scene palette style speed motion time",
    "time style palette scene speed motion",
    "palette speed scene motion time style",
)


def caption(shot: Shot, seed: int) -> str:
    """One of many ways to say it; the same for the same seed."""
    dice = Dice(seed)
    words = {slot: _word(slot, getattr(shot, slot), dice) for slot in SLOTS}
    if dice.chance(0.12):  # people often leave things out
        words["style" if dice.chance(0.5) else "time"] = ""
    said: dict[str, str] = {str(slot): word for slot, word in words.items()}
    order = dice.pick(list(ORDERS)).split()
    scene_at = order.index("scene")
    before, after = ([said[slot] for slot in part if said[slot]] for part in (order[:scene_at], order[scene_at + 1 :]))
    joint = dice.pick([", ", " ", ", ", " and "])
    text = " ".join([*before, words["scene"]]) + ((", " if joint == ", " else " ") + joint.join(after) if after else "")
    return dice.pick(list(OPENINGS)) + text


def _word(slot: Slot, name: str, dice: Dice) -> str:
    if name == "none":
        return ""
    choices = phrases(slot, name)
    return choices[0] if dice.chance(PLAIN) else dice.pick(choices)


def named(text: str) -> dict[str, str]:
    """Slot -> concept, for every slot a caption mentions; the first mention counts."""
    found: dict[str, str] = {}
    for part in understood(text):
        found.setdefault(part.concept.slot, part.concept.name)
    return found


def shot_of(text: str, seed: int) -> Shot:
    """The shot a caption describes; unnamed slots stay open, an unnamed scene is plasma in blue."""
    said = {"scene": "plasma", "palette": "blue"} | named(text)
    return Shot(**said, seed=seed)
