"""One training example of the reader, and batches of them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """A question over a context; the answer is `context[start:end]`, or none (start < 0)."""

    question: str
    context: str
    start: int = -1
    end: int = -1


def batches(examples: Sequence[Example], size: int, rng: random.Random) -> Iterator[list[Example]]:
    """The examples in random batches of similar length."""
    shuffled = sorted(examples, key=lambda e: len(e.context) * rng.uniform(0.85, 1.15))
    parts = [shuffled[i : i + size] for i in range(0, len(shuffled), size)]
    rng.shuffle(parts)
    return iter([list(part) for part in parts])
