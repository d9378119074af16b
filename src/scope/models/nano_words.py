"""What the bundled models were taught to draw: concepts, and the words people use for them.

The training captions are written with this table, so every word in it has been seen; `understood` says which parts of a prompt
mean something to these models. Words not listed still reach the network as letter groups, without any promise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

Slot = Literal["scene", "palette", "motion", "speed", "style", "time"]


class Concept(NamedTuple):
    """One thing the models know: its slot and its name there."""

    slot: Slot
    name: str


@dataclass(frozen=True, slots=True)
class Found:
    """A stretch of a prompt that means a concept."""

    text: str
    concept: Concept
    place: int = 0  # of its first word in the prompt


WORDS: dict[Slot, dict[str, str]] = {
    "scene": {
        "ocean": "ocean, sea, waves, ocean waves, seascape, open water, surf, seaside, shore, tide, beach, lake, lagoon",
        "aurora": "aurora, northern lights, aurora borealis, polar lights, southern lights, curtains of light",
        "nebula": "nebula, nebulae, cosmic dust, interstellar cloud, outer space, deep space, cosmos, space, cosmic clouds",
        "galaxy": "galaxy, spiral galaxy, milky way, star system, swirling stars, universe, stars, starry",
        "fire": "fire, flames, flame, blaze, bonfire, inferno, campfire, burning, embers, lava, wildfire",
        "rain": "rain, rainfall, downpour, rain shower, drizzle, raindrops, rainy, storm, monsoon",
        "snow": "snow, snowfall, snowflakes, falling snow, blizzard, snowy, winter, flurries",
        "tunnel": "tunnel, wormhole, vortex, portal, corridor, hyperspace, warp, tube, passage",
        "kaleidoscope": "kaleidoscope, mandala, symmetric pattern, mirrored pattern, kaleidoscopic, symmetry, ornament",
        "particles": "particles, orbs, fireflies, glowing dots, floating lights, sparks, bokeh, dust motes, lanterns",
        "fractal": "fractal, julia set, mandelbrot, fractals, infinite pattern, recursive shapes",
        "city": "city, skyline, skyscrapers, city skyline, downtown, cityscape, metropolis, buildings, towers, urban",
        "forest": "forest, woods, trees, woodland, pine trees, jungle, pines, grove, firs",
        "mountains": "mountains, mountain range, peaks, hills, ridges, alps, mountain, summit, valley",
        "clouds": "clouds, cloudscape, cloudy sky, sky, cumulus, cloud, heaven, overcast",
        "shapes": "shapes, geometric shapes, polygons, geometry, circles and triangles, geometric, blocks, circles, squares",
        "spiral": "spiral, swirl, helix, spirals, whirl, pinwheel, hypnotic spiral, whirlpool",
        "plasma": "plasma, liquid colour, lava lamp, liquid color, blobs, fluid, ink, oil, psychedelic",
        "flow": "flow field, silk, flowing lines, ribbons, flowing, silky folds, threads, streams, fabric, hair",
        "underwater": "underwater, caustics, seabed, coral reef, under the sea, submerged, aquarium, pool, deep sea",
        "dunes": "dunes, desert, sand dunes, sand, sahara, desert dunes, sandy hills",
        "flower": "flower, blossom, petals, rose, lotus, bloom, flowers, lily, blooming",
    },
    "palette": {
        "blue": "blue, azure, sapphire, cobalt, indigo, navy",
        "teal": "teal, turquoise, cyan, aqua, aquamarine",
        "green": "green, emerald, jade, lime, mossy, viridian",
        "red": "red, crimson, scarlet, ruby, blood red, vermilion",
        "orange": "orange, amber, tangerine, copper, rust",
        "gold": "gold, golden, yellow, honey, brass, sunny",
        "purple": "purple, violet, lavender, amethyst, lilac, plum",
        "pink": "pink, magenta, rosy, fuchsia, hot pink, blush",
        "white": "white, icy, silver, pale, frosty, pearl, ivory",
        "mono": "black and white, monochrome, grey, gray, noir, charcoal, greyscale",
        "sunset": "sunset colours, sunset, purple and orange, sunset colors, warm gradient, evening glow",
        "rainbow": "rainbow, multicoloured, colourful, iridescent, multicolored, colorful, prismatic, spectrum",
        "cyber": "cyberpunk, pink and cyan, synthwave, vaporwave, electric, ultraviolet, blue and pink",
        "earth": "brown, sepia, earthy, earth tones, bronze, beige, chocolate, vintage",
    },
    "motion": {
        "drift": "drifting, sliding, panning, gliding, sailing past, moving sideways, drift",
        "rotate": "rotating, spinning, turning, revolving, twirling, rotation",
        "zoom": "zooming, zooming in, flying through, approaching, diving in, zoom",
        "pulse": "pulsing, pulsating, throbbing, beating, breathing, flickering, pulse",
    },
    "speed": {
        "still": "still, motionless, frozen, static, unmoving",
        "slow": "slow, slowly, calm, gentle, gently, peaceful, lazy, tranquil, serene, quiet",
        "fast": "fast, quickly, rapid, wild, frantic, energetic, hectic, furious, rushing",
    },
    "style": {
        "neon": "neon, glowing, luminous, neon lights, fluorescent",
        "soft": "watercolour, soft, pastel, watercolor, painted, delicate",
        "lines": "line art, line drawing, ink drawing, contour lines, outlined, sketch, engraving",
        "glitch": "glitch, glitchy, distorted, corrupted, broken signal, glitch art",
        "minimal": "minimal, minimalist, flat, simple, poster, paper cut",
        "dreamy": "dreamy, hazy, misty, foggy, ethereal, soft focus, dreamlike, magical",
    },
    "time": {
        "night": "at night, night, midnight, moonlit, dark, nocturnal, moonlight",
        "dawn": "at dawn, dawn, sunrise, early morning, morning, daybreak",
        "day": "at noon, daylight, midday, bright day, sunlit, bright",
        "dusk": "at dusk, dusk, twilight, evening, golden hour, nightfall",
    },
}


@cache
def table() -> dict[str, Concept]:
    """Phrase -> concept."""
    return {
        phrase: Concept(slot, name)
        for slot, names in WORDS.items()
        for name, phrases in names.items()
        for phrase in phrases.split(", ")
    }


def phrases(slot: Slot, name: str) -> list[str]:
    """All ways to say a concept, the plainest first."""
    return WORDS[slot][name].split(", ")


def split(prompt: str) -> list[str]:
    """Lower-case words, without punctuation."""
    return re.findall(r"[^\W_]+", prompt.lower())


def understood(prompt: str) -> list[Found]:
    """What in a prompt is known, in its order; the longest phrase wins, endings in -s are forgiven."""
    return list(_found(split(prompt)))


def unknown(prompt: str) -> list[str]:
    """Words that mean nothing to the models; small words are left out."""
    known = {word for found in understood(prompt) for word in split(found.text)}
    return [word for word in split(prompt) if word not in known and word not in SMALL]


# fmt: off
SMALL = frozenset({
    "a", "an", "the", "of", "in", "on", "at", "with", "and", "or", "to", "by", "from", "over", "under", "into", "through",
    "very", "some", "is", "are", "it", "its", "this", "that", "video", "scene", "picture", "image", "view", "like", "made",
    "style", "colours", "colors", "tones",
})
# fmt: on
_LONGEST = 4


def _found(words: list[str]) -> Iterator[Found]:
    place = 0
    while place < len(words):
        for length in range(min(_LONGEST, len(words) - place), 0, -1):
            text = " ".join(words[place : place + length])
            concept = table().get(text) or table().get(text.removesuffix("s")) or table().get(text + "s")
            if concept:
                yield Found(text, concept, place)
                break
        place += max(1, length if concept else 1)
