"""Text in UTF-16 whose bytes do not begin with a mark that says so."""

from __future__ import annotations

import codecs
from unicodedata import category

_SAMPLE = 4096
_SPACES = b"\n\r "
_PRINTED = bytes(range(0x20, 0x7F))
# spaces, digits and signs: no second byte of the encodings of Chinese and Japanese is one
_LOW = b"\t\n\r" + bytes(range(0x20, 0x40))
# what encodings of bytes are mostly made of, with some ends of lines: these are also the upper
# bytes of the letters of Punjabi and Malayalam
_MOST_ASCII = 0.9
_MOST_ENDS = 0.25
# a stray zero stands beside anything, and the text's spaces stand beside none
_LEAST_OF_ZEROS = 0.05
_LEAST_OF_SPACES = 0.1
_LETTERS_A_SPACE = 512
_MOST_STRANGE = 0.02
# Office's bullets are private use, and so are most letters of a text in another encoding
_MOST_PRIVATE = 0.05
# controls, halves of pairs, what is no letter; joiners and marks of direction (Cf) are text
_STRANGE = frozenset(("Cc", "Cs", "Cn"))
# the beginning of a terminal's colours, and the end of a file of DOS
_CONTROLS = "\x1b\x1a"


def unmarked_wide(data: bytes) -> str:
    """UTF-16's form that bytes without a mark seem to be in, by their beginning; else nothing.

    The letters of a text come from few scripts, so their upper bytes are fewer than their lower
    ones, and 0 for a space, a digit or the end of a line. A text without any of these, as a line of
    Chinese may be, cannot be told.
    """
    sample = data[: min(_SAMPLE, len(data) // 2 * 2)]
    if not sample or _is_ascii(sample) or _is_utf_8(sample):
        return ""
    halves = {"utf-16-le": sample[1::2], "utf-16-be": sample[::2]}
    distinct = {name: set(half) for name, half in halves.items()}
    encoding = min(halves, key=lambda name: (len(distinct[name]), 0 not in distinct[name]))
    upper = halves.pop(encoding)
    (lower,) = halves.values()
    return (
        encoding
        if _has_spaces(upper, lower) and _is_text(sample.decode(encoding, "replace"))
        else ""
    )


def _count(data: bytes, wanted: bytes) -> int:
    return len(data) - len(data.translate(None, wanted))


def _is_ascii(sample: bytes) -> bool:
    """Whether bytes are nearly all ASCII, such as those of a text with a stray zero."""
    ends = min(_count(sample, b"\n\r"), _MOST_ENDS * len(sample))
    return _count(sample, _PRINTED) + ends > _MOST_ASCII * len(sample)


def _is_utf_8(sample: bytes) -> bool:
    """Whether bytes beyond ASCII are UTF-8, but for a letter that is cut at their end."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return not sample.isascii()


def _has_spaces(upper: bytes, lower: bytes) -> bool:
    """Whether zeros stand beside spaces, digits and signs as in a text, or beside most letters."""
    beside = bytes(low for up, low in zip(upper, lower, strict=True) if not up)
    if len(beside) > len(upper) / 2:
        return True
    elsewhere = _count(lower, _SPACES) - _count(beside, _SPACES)
    return _count(beside, _LOW) >= max(
        len(upper) / _LETTERS_A_SPACE,
        _LEAST_OF_ZEROS * len(beside),
        _LEAST_OF_SPACES * elsewhere,
    )


def _is_text(text: str) -> bool:
    kinds = [category(char) for char in text if not (char.isspace() or char in _CONTROLS)]
    strange = sum(kind in _STRANGE for kind in kinds) + text.count("\ufffd")
    few = strange <= _MOST_STRANGE * len(text) and kinds.count("Co") <= _MOST_PRIVATE * len(text)
    return few and "\0" not in text
