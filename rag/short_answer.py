"""The shortest stretch of an answer's evidence that answers, or none."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.answerability import Evidence
from rag.kinds import first_of_kind, wanted_kind
from rag.stretches import answer_start

# what is taken whole though it has marks in it: an address, a telephone number
_WHOLE = re.compile(
    r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|(?:https?://|www\.)[^\s<>|]+[^\s<>|.,;:!?)\]]|"
    r"(?<![\w,.])(?:\+\d|\(0|0)[\d()/-]*(?: [\d()/-]+){2,}(?!\w|[.,]\d)"
)
# “No. 5” is a number
_YES_OR_NO = re.compile(
    r"[\s*_]*(?P<said>(?:yes|no|ja|nein|oui|non|sì|sí)\b"
    r"(?:, (?:never|always|not|nie|niemals|immer|jamais|toujours)\b)?)(?!\.\s*\d)"
    r"(?=\s*(?:[.;:,!*]|$))",
    re.IGNORECASE,
)
_FENCE = re.compile(r"^[ \t]*`{3}.*$", re.MULTILINE)
_MARKUP = " \t\n*`|•"
_LINE_MARKS = re.compile(r"^(?:[-–>#]+[ \t]+)+(?!\d)")
_DENIES_ONLY = frozenset("not no longer never nicht nie pas jamais".split())


def short_answer(question: str, quotes: Sequence[str], evidence: Evidence) -> str | None:
    """What the reader took for the answer, where it stands in what is quoted.

    Words and addresses are whole, and marks around them are left out; a yes or no comes first.
    Without a reader: the first thing in the quotes of the kind that the question asks for.
    """
    kind = wanted_kind(question)
    for span, answer in zip(evidence.spans, evidence.answers, strict=True):
        said = _YES_OR_NO.match(span.text, answer_start(span) - span.start)
        if kind == "yes_no" and said and any(span.text in quote for quote in quotes):
            return said["said"]
        shown = answer and any(span.text in quote and answer in quote for quote in quotes)
        if shown and (tidy := _tidy(_whole(answer, span.text))):
            return tidy
    for quote in quotes:
        found = first_of_kind(quote, kind)
        if found:
            return found.group()
    return None


def _whole(answer: str, text: str) -> str:
    """An answer with all of the words and addresses of the text that it cuts."""
    start = text.find(answer)
    if start < 0:
        return answer
    end = start + len(answer)
    while start and text[start].isalnum() and text[start - 1].isalnum():
        start -= 1
    while end < len(text) and text[end - 1].isalnum() and text[end].isalnum():
        end += 1
    for found in _WHOLE.finditer(text):
        if found.start() <= start and end <= found.end():
            return found.group()
    return text[start:end]


def _tidy(answer: str) -> str:
    """An answer without a program's fences and marks around it; empty where it says nothing."""
    bare = _LINE_MARKS.sub("", _FENCE.sub("", answer).strip(_MARKUP))
    words = set(re.findall(r"\w+", bare.casefold()))
    return "" if words <= _DENIES_ONLY else bare
