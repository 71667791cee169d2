"""Text in lower case without accents, of the same length."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache


@lru_cache(1024)
def folded(text: str) -> str:
    """A text in lower case without accents, letter by letter."""
    return "".join(_plain(letter) for letter in text)


@lru_cache(4096)
def _plain(letter: str) -> str:
    if letter in "’‘´`":
        return "'"
    bare = unicodedata.normalize("NFD", letter)[0].lower()
    return bare if len(bare) == 1 else letter


def folded_words(text: str) -> list[str]:
    """The words of a text, folded; but “May” is a month."""
    return [word if word == "May" else folded(word) for word in re.findall(r"[\w'’-]+", text)]
