"""Cuts a stream of generated text into finished sentences."""

from __future__ import annotations

import re

from rag.sentences import sentence_spans

# marks that a model puts where it means to cite; Cloister sets its own
_MARKS = re.compile(r"\s*(?:\[\s*\d+(?:\s*,\s*\d+)*\s*\]|\(passage \d+\))", re.IGNORECASE)
_PREFIX = re.compile(r"^\s*(?:answer|a)\s*:\s*", re.IGNORECASE)


class Draft:
    """Generated text so far; `take` gives each sentence once it is finished."""

    def __init__(self) -> None:
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
        return [text for start, end in spans if (text := clean(rest[start:end]))]


def clean(sentence: str) -> str:
    """A generated sentence without citation marks and lead-ins of the model's own."""
    bare = _PREFIX.sub("", _MARKS.sub("", sentence)).strip()
    return bare if any(c.isalnum() for c in bare) else ""
