"""How many bits a second a viewer gets: a pure rule, told the time."""

from __future__ import annotations

FLOOR_BPS, CEILING_BPS = 500_000, 10_000_000
DEFAULT_CAP_BPS = 6_000_000
START_BPS, START_PIXELS = 3_000_000, 512 * 512
SHARE = 0.8  # of what the receiver says it can take; 1.0 froze a narrowing link for 19 s, 0.8 for under 4
OVERUSE = (0.3, 1.0)  # of what was sent: an estimate in between means that the link is full
PUSHING = 0.5  # of the target: who sends less (a still picture) learns nothing about the link
HEAVY_LOSS, LIGHT_LOSS = 0.1, 0.02
RECOVERY = 1.05  # per report without loss, from a receiver that sends no estimates
GROWTH_PER_S = 1.2  # rises slowly, so that one generous report does not flood the link; falls at once


def start_bps(pixels: int) -> int:
    """Before the receiver said anything. Large pictures compress better, so bits grow slower than pixels."""
    scaled = START_BPS * (pixels / START_PIXELS) ** 0.75
    return int(min(max(scaled, FLOOR_BPS), DEFAULT_CAP_BPS))


def ceiling_bps(pixels: int, cap_bps: int = DEFAULT_CAP_BPS) -> int:
    """Twice the start: beyond that nobody sees a difference, and every bit is encrypted and sent per viewer."""
    return int(min(cap_bps, CEILING_BPS, 2 * start_bps(pixels)))


class RatePolicy:
    """One viewer's rate: follows the receiver's reports from above at once and from below slowly.

    Receivers never estimate more than 1.5 times what arrives, and grow by 8 % a second. So a still picture, which needs few
    bits, draws low estimates on the best of links: a low one counts only while we push, and only when it looks like overuse
    (0.85 of what arrives) or packets are lost.
    """

    def __init__(self, cap_bps: int = DEFAULT_CAP_BPS) -> None:
        self._cap_bps = cap_bps
        self._limit_bps: float | None = None  # None until something says otherwise
        self._hears_estimates = False
        self._loss = 0.0
        self._last_bps = 0.0
        self._last_s: float | None = None

    def estimated(self, bps: float, sent_bps: float) -> None:
        """The receiver says how much it can take (REMB)."""
        self._hears_estimates = True
        wanted = SHARE * bps
        full = self._loss > HEAVY_LOSS or OVERUSE[0] * sent_bps < bps < OVERUSE[1] * sent_bps
        if wanted >= self._last_bps or (full and sent_bps > PUSHING * self._last_bps):
            self._limit_bps = wanted

    def lost(self, fraction: float) -> None:
        """The receiver says what part of the packets did not arrive (a receiver report)."""
        self._loss = fraction
        if fraction > HEAVY_LOSS:
            self._limit_bps = max(self._last_bps * (1 - fraction / 2), FLOOR_BPS)
        elif fraction < LIGHT_LOSS and not self._hears_estimates and self._limit_bps is not None:
            self._limit_bps *= RECOVERY

    def target_bps(self, pixels: int, now_s: float) -> int:
        wanted = start_bps(pixels) if self._limit_bps is None else self._limit_bps
        wanted = min(max(wanted, FLOOR_BPS), ceiling_bps(pixels, self._cap_bps))
        if self._last_s is not None and self._limit_bps is not None:
            wanted = min(wanted, self._last_bps * GROWTH_PER_S ** (now_s - self._last_s))
        self._last_bps, self._last_s = wanted, now_s
        return int(wanted)
