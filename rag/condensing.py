"""A follow-up and its history, as one question that stands alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.ellipsis import filled
from rag.records import Turn
from rag.words import content_terms, telling_terms, terms

# openings that only continue what was said
_OPENINGS = re.compile(
    r"^\s*(?:(?:ok|okay|so|well)[\s,]+)?"
    r"(?:and|or|but|also|what about|how about|what if|und|oder|et|y)\b",
    re.IGNORECASE,
)
_PRONOUNS = (
    r"it|its|they|them|their|theirs|that|those|these|this|he|she|him|her|his|there|same|"
    r"davon|damit|dafür|daran|dazu|dort|ihm|ihn|celui|celle|ceux|celles|cela|ça"
)
_POINTER = re.compile(rf"\b(?:{_PRONOUNS}|(?:that|this|another|the \w+) ones?)\b", re.IGNORECASE)
# the same words where they point to nothing before: “it costs … to”, “is there a”, “this year”
_EMPTY = re.compile(
    r"\bit\s+(?:cost|take|took|be|is|possible|necessary|mean|make sense)s?\b.*\b(?:to|that)\b|"
    r"\b(?:is|are|was|were|will|be)\s+there\b|\bthere\s+(?:is|are|was|were|will)\b|"
    r"\bth(?:is|ese|at|ose)\s+(?:year|month|week|quarter|day|morning|evening)s?\b",
    re.IGNORECASE,
)
# a pronoun so early in a question has nothing in the question itself to stand for
_EARLY = 1
# a pronoun at the end has, unless the question is as short as this
_SHORT = 5
_LAST_WORDS = 2
# a question of fewer content words says too little by itself
_FEW_WORDS = 2


def condense(question: str, history: Sequence[Turn], longest: int = 2000) -> str:
    """The question, preceded by the one that it continues where it does not stand alone.

    “And in Japan?” takes the place of what the one before asked about. Else nothing is rewritten: a
    small model that rewrites a question changes it. The question before
    is itself condensed, so that a chain of follow-ups keeps its subject; what would make the whole
    longer than `longest` characters is left out.
    """
    if not history or not depends(question):
        return question
    before = condense(history[-1].question, history[:-1], longest).strip()
    whole = filled(question, before) or f"{before} {question.lstrip()}"
    return whole if len(whole) <= longest else question


def asked_last(question: str, standalone: str) -> str:
    """What is asked for where `condense` put the questions before it: the question itself.

    All of it where the question alone says nothing (“And that?”), and where it took a place in the
    one before.
    """
    continued = standalone.endswith(question.lstrip())
    return question if continued and telling_terms(question) else standalone


def depends(question: str) -> bool:
    """Whether a question points back to something that it does not name itself.

    It does with an opening “and”, with a pronoun that nothing in it can stand for, or with
    hardly a word of its own.
    """
    if _OPENINGS.search(question) or len(content_terms(question)) < _FEW_WORDS:
        return True
    bare = _EMPTY.sub(lambda found: " " * len(found.group()), question)
    return any(_points_back(question, found) for found in _POINTER.finditer(bare))


def _points_back(question: str, pointer: re.Match[str]) -> bool:
    """Whether a pronoun stands early, or at the end of a short question."""
    own = content_terms(question)
    before = set(own) & set(terms(question[: pointer.start()]))
    if len(before) <= _EARLY:
        return True
    after = re.findall(r"\w+", question[pointer.end() :])
    return len(after) < _LAST_WORDS and len(own) <= _SHORT
