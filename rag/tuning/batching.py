"""Batches of encoded examples: in which order, in which pieces, as which tensors.

Examples over the same passages begin with the same tokens, by far the most of theirs. They stay
together, and what they share is computed once for all of them.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rag.tuning.encoding import Encoded

# within so many batches examples are sorted by their length, so that a batch needs little padding
_BUCKET = 16
# what shares so much of a prompt with another is computed together with it
_SHARED = 0.5
NOT_LEARNED = -100


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows that begin alike: with `head` (1 × h tokens, or None), and go on with `ids` (n × w).

    Rows are padded at their end; `mask` (n × (h + w)) is None where none is. Targets are of the
    positions of `ids` from `first` on, -100 where none is learned; `tokens` is how many are.
    """

    head: Any
    ids: Any
    mask: Any
    targets: Any
    first: int
    tokens: int


def passes(
    encoded: Sequence[Encoded], batch: int, epochs: int, seed: int
) -> Iterator[list[Encoded]]:
    """The batches of all epochs in their order, which the seed alone decides.

    Examples that begin alike stay together, so that a batch may be smaller than `batch`.
    """
    alike = families(encoded)
    for epoch in range(epochs):
        rng = random.Random(f"{seed} {epoch}")
        mixed = [rng.sample(family, len(family)) for family in alike]
        parts = [f[at : at + batch] for f in mixed for at in range(0, len(f), batch)]
        rng.shuffle(parts)
        found = _filled(_near_their_length(parts, batch * _BUCKET), batch)
        rng.shuffle(found)
        yield from found


def pieces(rows: Sequence[Encoded], most_tokens: int, pad: int, device: str) -> Iterator[Piece]:
    """The rows in pieces of at most so many tokens with padding, or of one row.

    Rows that share most of their prompts are a piece with a head; the others come shortest first.
    """
    alone: list[Encoded] = []
    for family in families(rows):
        head = head_of(family)
        for part in _parts(family, head, most_tokens):
            if len(part) > 1:
                yield _piece(part, head, pad, device)
            else:
                alone += part
    for part in _parts(alone, 0, most_tokens):
        yield _piece(part, 0, pad, device)


def families(rows: Sequence[Encoded]) -> list[list[Encoded]]:
    """The rows in groups that share at least half of their prompts' tokens, from the first on."""
    found: list[list[Encoded]] = []
    for row in sorted(rows, key=lambda row: row.ids):
        if found and _shared(found[-1][0], row) >= _SHARED * row.prompt:
            found[-1].append(row)
        else:
            found.append([row])
    return found


def _shared(one: Encoded, other: Encoded) -> int:
    """With how many of the same tokens two prompts begin, the last of either left out."""
    most = min(one.prompt, other.prompt) - 1
    if one.ids[:most] == other.ids[:most]:
        return most
    return bisect_left(range(1, most + 1), True, key=lambda at: one.ids[:at] != other.ids[:at])


def head_of(family: Sequence[Encoded]) -> int:
    """With how many of the same tokens the prompts of a family begin; 0 where it is one row."""
    return min((_shared(family[0], row) for row in family[1:]), default=0)


def _near_their_length(parts: list[list[Encoded]], most: int) -> Iterator[list[Encoded]]:
    """The parts, sorted by length within every so many rows."""
    waiting: list[list[Encoded]] = []
    for part in parts:
        waiting.append(part)
        if sum(map(len, waiting)) >= most:
            yield from sorted(waiting, key=_longest)
            waiting = []
    yield from sorted(waiting, key=_longest)


def _filled(parts: Iterable[list[Encoded]], batch: int) -> list[list[Encoded]]:
    """The parts in batches of at most so many rows, none of them cut."""
    found: list[list[Encoded]] = [[]]
    for part in parts:
        if len(found[-1]) + len(part) > batch:
            found.append([])
        found[-1] += part
    return [rows for rows in found if rows]


def _longest(rows: Sequence[Encoded]) -> int:
    return max(len(row.ids) for row in rows)


def _parts(rows: Sequence[Encoded], head: int, most_tokens: int) -> Iterator[list[Encoded]]:
    """The rows, shortest first, as many together as find room beside their head."""
    waiting: list[Encoded] = []
    for row in sorted(rows, key=lambda row: len(row.ids)):
        if waiting and head + (len(row.ids) - head) * (len(waiting) + 1) > most_tokens:
            yield waiting
            waiting = []
        waiting.append(row)
    if waiting:
        yield waiting


def _piece(rows: Sequence[Encoded], head: int, pad: int, device: str) -> Piece:
    import torch

    tails = [row.ids[head:] for row in rows]
    prompts = [row.prompt - head for row in rows]
    width = max(map(len, tails))
    first = min(prompts) - 1
    ids = [[*tail, *[pad] * (width - len(tail))] for tail in tails]
    mask = [[1] * (head + len(tail)) + [0] * (width - len(tail)) for tail in tails]
    # what stands at a position is predicted at the one before
    targets = [
        [
            tail[at + 1] if prompt <= at + 1 < len(tail) else NOT_LEARNED
            for at in range(first, width - 1)
        ]
        for tail, prompt in zip(tails, prompts, strict=True)
    ]
    padded = any(len(tail) < width for tail in tails)
    return Piece(
        head=torch.tensor([rows[0].ids[:head]], device=device) if head else None,
        ids=torch.tensor(ids, device=device),
        mask=torch.tensor(mask, device=device) if padded else None,
        targets=torch.tensor(targets, device=device),
        first=first,
        tokens=sum(len(row.ids) - row.prompt for row in rows),
    )
