"""Which rank runs which blocks when a network is spread over several devices (models-stream.md sections 5.1 and 5.3). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

from scope.errors import BadParams

Interval = tuple[int, int]  # first block, block after the last


def intervals(counts: Sequence[int]) -> list[Interval]:
    """Contiguous intervals in rank order."""
    ends = [sum(counts[: i + 1]) for i in range(len(counts))]
    return [(end - count, end) for end, count in zip(ends, counts, strict=True)]


def even(blocks: int, ranks: int) -> list[Interval]:
    """As equal as can be, the first ranks taking one more (of two, the second). Raises BadParams if a rank would have none."""
    if not 0 < ranks <= blocks:
        raise BadParams(f"{blocks} blocks cannot be spread over {ranks} ranks")
    counts = [blocks // ranks + (rank < blocks % ranks) for rank in range(ranks)]
    return intervals(sorted(counts) if ranks == 2 else counts)


def balanced(current: Sequence[Interval], block_s: Sequence[float], total_s: Sequence[float]) -> list[Interval]:
    """Move blocks from slow ranks to quick ones. `block_s`: seconds a rank spends in its blocks, `total_s`: with its other work.

    Every rank keeps at least one block.
    """
    counts = [end - begin for begin, end in current]
    blocks = sum(counts)
    per_block, mean = sum(block_s) / blocks, sum(total_s) / len(total_s)
    wanted = [max(1, round(n + (mean - spent) / per_block)) for n, spent in zip(counts, total_s, strict=True)]
    rising = sorted(range(len(wanted)), key=lambda rank: wanted[rank])
    for rank in cycle(rising):
        if sum(wanted) >= blocks:
            break
        wanted[rank] += 1
    for rank in cycle(reversed(rising)):
        if sum(wanted) <= blocks:
            break
        wanted[rank] -= wanted[rank] > 1
    return intervals(wanted)
