"""The shortest stretch of an answer's evidence that answers, or none."""

from __future__ import annotations

from collections.abc import Sequence

from rag.facts import first_of_kind, wanted_kind


def short_answer(question: str, quotes: Sequence[str]) -> str | None:
    """The first thing of the kind that the question asks for in the quotes."""
    kind = wanted_kind(question)
    for quote in quotes:
        found = first_of_kind(quote, kind)
        if found:
            return found.group()
    return None
