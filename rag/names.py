"""Names and codes in a text."""

from __future__ import annotations

import re

from rag.sentences import sentence_spans

_WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")
_CODE = re.compile(r"\b[A-Z]{1,5}[- ]?\d+[A-Z]?\b|\b\d+[A-Z]{1,2}\b")
# these are also names when they are capitals: a month, a country, a group, a department
_ALSO_WORDS = frozenset("a i it us who may march will mark bill art pat rob sue august".split())


def codes(text: str) -> set[str]:
    """Names with a number in them, like “KP-400”, “V 11” or “40B”, in capitals without marks."""
    return {re.sub(r"[\s-]", "", found).upper() for found in _CODE.findall(text)}


def names(text: str) -> list[str]:
    """Capitalised words that do not open a sentence or an item, and words of capitals, in order.

    In lower case, but for those that would then be other words, or that are capitals throughout.
    """
    return list(dict.fromkeys(name_places(text)))


def name_places(text: str) -> list[str]:
    """As `names`, each as often as it stands there."""
    openings = {start for start, _ in sentence_spans(text)}
    found = []
    for match in _WORD.finditer(text):
        word = match.group()
        before = text[: match.start()].rstrip(" \"'“‘(«")
        opens = not before or before[-1] in "\n•-–|"
        opens = opens or any(at in openings for at in range(len(before), match.start() + 1))
        if (word.isupper() and len(word) > 1) or (word[0].isupper() and not opens):
            found.append(name_of(word))
    return found


def name_of(word: str) -> str:
    """A word as `names` gives it."""
    bare = word.removesuffix("'s").removesuffix("’s")
    telling = bare.isupper() or bare.lower() in _ALSO_WORDS
    return bare if telling else bare.lower()
