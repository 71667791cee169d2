"""Text of documents as it is shown where it may be written from right to left."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

_NAMES = {
    **{"\u202a": "LRE", "\u202b": "RLE", "\u202c": "PDF", "\u202d": "LRO", "\u202e": "RLO"},
    **{"\u2066": "LRI", "\u2067": "RLI", "\u2068": "FSI", "\u2069": "PDI"},
}
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
_RIGHT_TO_LEFT = frozenset({"ar", "ckb", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"})


def shown(text: str) -> Markup:
    """The escaped text, each character that turns what follows it in a box of its own.

    There it turns nothing, has a mark, and is still copied: a name that ends in `gpj.exe` must not
    read as if it ended in `exe.jpg`. No character is added, so offsets stay (static/bidi.js).
    """
    return Markup(_TURNING.sub(_boxed, escape(text)))


def is_right_to_left(language: str | None) -> bool:
    """Whether a language, by its tag, is written from right to left."""
    return language is not None and language.partition("-")[0] in _RIGHT_TO_LEFT


def _boxed(found: re.Match[str]) -> str:
    return f'<span class="steer" data-name="{_NAMES[found[0]]}">{found[0]}</span>'
