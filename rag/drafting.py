"""Cuts a stream of generated text into finished sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.sentences import sentence_spans

# marks that a model puts where it means to cite; Cloister sets its own
_MARKS = re.compile(r"\s*(?:\[\s*\d+(?:\s*,\s*\d+)*\s*\]|\(passage \d+\))", re.IGNORECASE)
_BEFORE = 12
# an LLM says in these words, more or less, that it was told to say so
_GIVEN = r"(?:documents?|passages?|texts?|context)(?: (?:provided|given|above))?"
_NOT = r"(?:do|does|did)(?: not|n['’]t)(?: \w+ly)?"
_REFUSAL = re.compile(
    r"^(?:(?:i['’]?m |i am )?(?:sorry|unfortunately)[,.]? (?:but )?)?(?:"
    rf"(?:(?:the|these|those|your|provided|given|above) )*{_GIVEN} {_NOT} (?:say|state|tell|"
    r"mention|specify|answer|(?:hold|contain|include|provide|give) (?:the |an? |any |enough )*"
    r"(?:answer|information|details?|mention))\b|"
    r"(?:it|this|that|the answer|the information) is not (?:\w+ly )?(?:mentioned|stated|given|"
    rf"specified|provided|found|included) in (?:(?:the|these|provided|given) )*{_GIVEN}\b|"
    rf"there is no (?:\w+ )?(?:information|mention|answer)\b.*\b{_GIVEN}\b)",
    re.IGNORECASE | re.DOTALL,
)
_PREFIX = re.compile(r"^\s*(?:answer|a)\s*:\s*", re.IGNORECASE)


class Draft:
    """Generated text so far; `take` gives each sentence once it is finished.

    `passages` are the texts that the model was given.
    """

    def __init__(self, passages: Sequence[str] = ()) -> None:
        self._passages = passages
        self._text = ""
        self._taken = 0

    def add(self, text: str) -> None:
        """More text."""
        self._text += text

    def take(self, last: bool = False) -> list[str]:
        """The sentences finished since; with `last`, also what is left."""
        rest = self._text[self._taken :]
        spans = sentence_spans(rest)
        if not last:
            spans = spans[:-1]
        if spans:
            self._taken += spans[-1][1]
        return [text for start, end in spans if (text := clean(rest[start:end], self._passages))]


def clean(sentence: str, passages: Sequence[str] = ()) -> str:
    """A generated sentence without citation marks and lead-ins of the model's own.

    What stands so in a passage after the same words, as the year of a judgment may, is no mark.
    """
    held = [" ".join(passage.split()) for passage in passages]

    def without(mark: re.Match[str]) -> str:
        with_words = " ".join(sentence[max(0, mark.start() - _BEFORE) : mark.end()].split())
        return mark.group() if any(with_words in passage for passage in held) else ""

    bare = _PREFIX.sub("", _MARKS.sub(without, sentence)).strip()
    return bare if any(c.isalnum() for c in bare) else ""


def is_refusal(sentence: str) -> bool:
    """Whether a generated sentence says that the passages do not hold the answer."""
    return bool(_REFUSAL.match(sentence))
