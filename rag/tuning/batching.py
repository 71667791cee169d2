"""Batches of encoded examples: in which order, in which pieces, as which tensors."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rag.tuning.encoding import Encoded

# within so many batches examples are sorted by their length, so that a batch needs little padding
_BUCKET = 16
_NOT_LEARNED = -100


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of one length, padded at the end: `ids`, and `targets`, -100 where none is learned.

    Targets are of the positions from `first` on; `tokens` is how many are learned. `mask` is None
    where nothing is padded.
    """

    ids: Any
    mask: Any
    targets: Any
    first: int
    tokens: int


def passes(
    encoded: Sequence[Encoded], batch: int, epochs: int, seed: int
) -> Iterator[list[Encoded]]:
    """The batches of all epochs in their order, which the seed alone decides."""
    for epoch in range(epochs):
        rng = random.Random(f"{seed} {epoch}")
        order = rng.sample(range(len(encoded)), len(encoded))
        buckets = [
            sorted(order[start : start + batch * _BUCKET], key=lambda i: len(encoded[i].ids))
            for start in range(0, len(order), batch * _BUCKET)
        ]
        found = [b[start : start + batch] for b in buckets for start in range(0, len(b), batch)]
        rng.shuffle(found)
        for indexes in found:
            yield [encoded[i] for i in indexes]


def steps_in(examples: int, batch: int, epochs: int) -> int:
    """How many batches `passes` gives."""
    return epochs * math.ceil(examples / batch)


def pieces(rows: Sequence[Encoded], most_tokens: int, pad: int, device: str) -> Iterator[Piece]:
    """The rows, shortest first, in pieces of at most so many tokens with padding, or of one row."""
    waiting: list[Encoded] = []
    for row in sorted(rows, key=lambda row: len(row.ids)):
        if waiting and len(row.ids) * (len(waiting) + 1) > most_tokens:
            yield _piece(waiting, pad, device)
            waiting = []
        waiting.append(row)
    if waiting:
        yield _piece(waiting, pad, device)


def _piece(rows: Sequence[Encoded], pad: int, device: str) -> Piece:
    import torch

    width = max(len(row.ids) for row in rows)
    first = min(row.prompt for row in rows) - 1
    ids = [[*row.ids, *[pad] * (width - len(row.ids))] for row in rows]
    mask = [[1] * len(row.ids) + [0] * (width - len(row.ids)) for row in rows]
    # what stands at a position is predicted at the one before
    targets = [
        [
            row.ids[at + 1] if row.prompt <= at + 1 < len(row.ids) else _NOT_LEARNED
            for at in range(first, width - 1)
        ]
        for row in rows
    ]
    padded = any(len(row.ids) < width for row in rows)
    return Piece(
        ids=torch.tensor(ids, device=device),
        mask=torch.tensor(mask, device=device) if padded else None,
        targets=torch.tensor(targets, device=device),
        first=first,
        tokens=sum(len(row.ids) - row.prompt for row in rows),
    )
