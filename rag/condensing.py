"""A follow-up and its history, as one question that stands alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.records import Turn
from rag.words import content_terms

# words that point back to what was said before, and openings that only continue it
_POINTERS = re.compile(
    r"\b(it|its|they|them|their|theirs|that|those|these|this|he|she|him|her|his|one|ones|same|"
    r"there|then|instead|otherwise|else)\b",
    re.IGNORECASE,
)
_OPENINGS = re.compile(
    r"^\s*(and|or|but|also|what about|how about|what if|why|und|oder|et|y)\b", re.IGNORECASE
)
_FEW_WORDS = 3


def condense(question: str, history: Sequence[Turn]) -> str:
    """The question, preceded by the one that it continues where it does not stand alone.

    Nothing is rewritten: a small model that rewrites a question changes it. The question before
    is itself condensed, so that a chain of follow-ups keeps its subject.
    """
    if not history or not depends(question):
        return question
    before = condense(history[-1].question, history[:-1])
    return f"{before.rstrip()} {question.lstrip()}"


def depends(question: str) -> bool:
    """Whether a question points back to something: a pronoun, an opening “and”, few words."""
    return bool(
        _OPENINGS.search(question)
        or _POINTERS.search(question)
        or len(content_terms(question)) < _FEW_WORDS
    )
