"""Which language a document is written in, told from its text."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from rag.parsed import Page, Parsed

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

# what is not written for people, whatever its words are
_NO_TEXT = ("code",)
_FEWEST_LETTERS = 20
# a line in one of two close languages gets little more than half; a list of numbers a twentieth
_LEAST_PROBABILITY = 0.3
# the whole text would say the same: some of it, from places far apart
_SAMPLES = 8
_SAMPLE_CHARACTERS = 500
# "no linguistic content"
_NONE = "zxx"


def language_of(parsed: Parsed, kind: str) -> str | None:
    """The tag (BCP 47) of the language of most of a document; None where that is not clear.

    `kind` is a key of KINDS. Source code has none, nor has a text of next to no letters.
    """
    text = _sample(parsed.pages)
    if kind in _NO_TEXT or sum(map(str.isalpha, text)) < _FEWEST_LETTERS:
        return None
    language, probability = _identifier().classify(text)
    return str(language) if probability >= _LEAST_PROBABILITY and language != _NONE else None


def _sample(pages: tuple[Page, ...]) -> str:
    """Stretches of the text from pages, and places on them, that are evenly apart."""
    parts = []
    whole = [page for page in pages if page.text]
    step = max(1, len(whole) // _SAMPLES)
    for page in whole[::step][:_SAMPLES]:
        each = max(1, _SAMPLES // len(whole))
        for part in range(each):
            start = part * len(page.text) // each
            parts.append(page.text[start : start + _SAMPLE_CHARACTERS])
    return " ".join(parts)


@functools.cache
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
