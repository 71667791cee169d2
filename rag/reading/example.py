"""One training example of the reader."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """A question over a context; the answer is `context[start:end]`, or none (start < 0)."""

    question: str
    context: str
    start: int = -1
    end: int = -1
