"""The shortest stretch of an answer's evidence that answers, or none."""

from __future__ import annotations

from collections.abc import Sequence

from rag.answerability import Evidence
from rag.kinds import first_of_kind, wanted_kind


def short_answer(question: str, quotes: Sequence[str], evidence: Evidence) -> str | None:
    """What the reader took for the answer, where it stands in what is quoted.

    Without a reader: the first thing in the quotes of the kind that the question asks for.
    """
    for span, answer in zip(evidence.spans, evidence.answers, strict=True):
        if answer and any(span.text in quote and answer in quote for quote in quotes):
            return answer
    kind = wanted_kind(question)
    for quote in quotes:
        found = first_of_kind(quote, kind)
        if found:
            return found.group()
    return None
