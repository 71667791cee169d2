"""What people's votes between two models come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import comb
from typing import Any

from rag.catalog.votes import Vote, model_of


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models, how often each one's answer was better, and how often both were right, or wrong.

    `p` is the chance of so uneven a result, or a more uneven one, were both equally good.
    """

    first: str
    second: str
    first_better: int
    second_better: int
    both: int
    neither: int
    p: float


def tally(cast: Iterable[tuple[Vote, Mapping[str, Any], Mapping[str, Any]]]) -> list[Pair]:
    """Each pair of models on which there was a vote, those with most votes first."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for vote, first, second in cast:
        models = model_of(first), model_of(second)
        ordered = (min(models), max(models))
        choice: str = vote.vote
        if models != ordered:
            choice = {"first": "second", "second": "first"}.get(choice, choice)
        counts.setdefault(ordered, Counter())[choice] += 1
    pairs = [
        Pair(
            *models,
            first_better=of["first"],
            second_better=of["second"],
            both=of["both"],
            neither=of["neither"],
            p=sign_test(of["first"], of["second"]),
        )
        for models, of in counts.items()
    ]
    return sorted(pairs, key=lambda pair: (-_votes(pair), pair.first, pair.second))


def _votes(pair: Pair) -> int:
    return pair.first_better + pair.second_better + pair.both + pair.neither


def sign_test(wins: int, losses: int) -> float:
    """The two-sided p of the exact sign test: ties do not count (Dixon and Mood 1946).

    Twice the chance that a fair coin thrown `wins + losses` times falls on the rarer side as seldom
    or more so; at most 1.
    """
    thrown = wins + losses
    tail = sum(comb(thrown, count) for count in range(min(wins, losses) + 1))
    # whole numbers: neither side need fit a float
    p: float = min(2 * tail, 1 << thrown) / (1 << thrown)
    return p
