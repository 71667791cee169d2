"""Text in UTF-16 whose bytes do not begin with a mark that says so."""

from __future__ import annotations

_SAMPLE = 4096
# what encodings of bytes are mostly made of; a tab is also the upper byte of Hindi's letters
_ASCII = bytes([0x0A, 0x0D, *range(0x20, 0x7F)])
_MOST_ASCII = 0.8
_LEAST_TEXT = 0.98


def unmarked_wide(data: bytes) -> str:
    """UTF-16's form that bytes without a mark seem to be in, by their beginning; else nothing.

    The letters of a text come from few scripts, so their upper bytes are fewer than their lower
    ones, and 0 for a space, a digit or the end of a line.
    """
    sample = data[: min(_SAMPLE, len(data) // 2 * 2)]
    ascii_bytes = len(sample) - len(sample.translate(None, _ASCII))
    if not sample or ascii_bytes > _MOST_ASCII * len(sample):
        return ""
    halves = {"utf-16-le": set(sample[1::2]), "utf-16-be": set(sample[::2])}
    encoding = min(halves, key=lambda half: (len(halves[half]), 0 not in halves[half]))
    if 0 not in halves[encoding]:
        return ""
    text = sample.decode(encoding, "replace")
    told = sum((char.isprintable() and char != "\ufffd") or char.isspace() for char in text)
    return encoding if "\0" not in text and told >= _LEAST_TEXT * len(text) else ""
