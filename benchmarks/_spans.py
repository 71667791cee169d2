"""Recall, precision, precision Ω and intersection over union of retrieved spans.

The definitions are those of Chroma's chunking evaluation (Smith and Troynikov 2024, “Evaluating
Chunking Strategies for Retrieval”; github.com/brandonstarxel/chunking_evaluation), whose report
speaks of tokens and whose program counts characters; this does as the program. Its peculiarities
are kept: spans that only touch count as overlapping (by nothing), chunks that overlap each other
are counted twice in precision and once in Ω.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Scores:
    """Of one question, each from 0 to 1."""

    recall: float
    precision: float
    omega: float
    iou: float


@dataclass(frozen=True, slots=True)
class Place:
    """A chunk's span in a corpus."""

    corpus: str
    span: Span


def scores(
    corpus: str, references: Sequence[Span], found: Sequence[Place], chunks: Iterable[Span]
) -> Scores:
    """Scores of a question whose answers stand at `references` in `corpus`.

    `found` are the retrieved chunks of whatever corpus; `chunks` are all of this corpus.
    """
    right = [place.span for place in found if place.corpus == corpus]
    hit, missed, _ = _compare(right, references)
    read = sum(end - start for start, end in (place.span for place in found))
    wanted = _length(references)
    every_hit, every_missed, touched = _compare(chunks, references)
    whole = _length(_union([*touched, *every_missed]))
    return Scores(
        recall=hit / wanted if wanted else 0.0,
        precision=hit / read if read else 0.0,
        omega=every_hit / whole if whole else 0.0,
        iou=hit / (read + _length(missed)) if read + _length(missed) else 0.0,
    )


def _compare(
    chunks: Iterable[Span], references: Sequence[Span]
) -> tuple[int, list[Span], list[Span]]:
    """The length that both cover, what is left of the references, and the chunks that matter."""
    shared: list[Span] = []
    touched: list[Span] = []
    missed = list(references)
    for chunk in chunks:
        for reference in references:
            start, end = max(chunk[0], reference[0]), min(chunk[1], reference[1])
            if start <= end:
                shared.append((start, end))
                touched.append(chunk)
                missed = _without(missed, (start, end))
    return _length(_union(shared)), missed, touched


def _length(spans: Iterable[Span]) -> int:
    return sum(end - start for start, end in spans)


def _union(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _without(spans: Iterable[Span], target: Span) -> list[Span]:
    left: list[Span] = []
    for start, end in spans:
        if end < target[0] or start > target[1]:
            left.append((start, end))
            continue
        if start < target[0]:
            left.append((start, target[0]))
        if end > target[1]:
            left.append((target[1], end))
    return left
