"""Batches of texts of unlike lengths: little is padding, and every lane has its share."""

from __future__ import annotations

from collections.abc import Sequence

# halvings of how long a batch may be; more would not change it by a text
_HALVINGS = 8


def by_length(lengths: Sequence[int], most: int, lanes: int = 1) -> list[list[int]]:
    """The places of texts in batches, the longest first.

    The texts of a batch are padded to its longest; padded they are `most` together at most, in the
    unit of `lengths`, or it is one text. Where there are several `lanes` the batches are shorter,
    and all about as long, as far as no lane then has more of them.
    """
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    found = _cut(order, lengths, most)
    wanted = -(-len(found) // lanes) * lanes
    short, long = 0, most
    for _ in range(_HALVINGS if lanes > 1 else 0):
        middle = (short + long) // 2
        tried = _cut(order, lengths, middle)
        if len(tried) <= wanted:
            found, long = tried, middle
        else:
            short = middle
    return found


def _cut(order: Sequence[int], lengths: Sequence[int], most: int) -> list[list[int]]:
    found, at = [], 0
    while at < len(order):
        size = max(1, most // max(1, lengths[order[at]]))
        found.append(list(order[at : at + size]))
        at += size
    return found
