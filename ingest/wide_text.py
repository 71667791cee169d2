"""Text in UTF-16 whose bytes do not begin with a mark that says so."""

from __future__ import annotations

# of text in UTF-16 most second bytes are 0 where most letters are of Europe, and hardly any other
_SAMPLE = 4096
_MOST_ZEROS, _FEW_ZEROS = 0.4, 0.05


def unmarked_wide(data: bytes) -> str:
    """UTF-16's form that bytes without a mark seem to be in, by their beginning; else nothing.

    Text of other letters than Europe's has no zeros that would tell.
    """
    sample = data[: min(_SAMPLE, len(data) // 2 * 2)]
    pairs = len(sample) // 2
    if not pairs:
        return ""
    first, second = sample[::2].count(0) / pairs, sample[1::2].count(0) / pairs
    for encoding, zeros, others in (("utf-16-le", second, first), ("utf-16-be", first, second)):
        if zeros >= _MOST_ZEROS and others <= _FEW_ZEROS:
            text = sample.decode(encoding, "replace")
            told = sum(char.isprintable() or char.isspace() for char in text)
            return encoding if told >= (1 - _FEW_ZEROS) * len(text) else ""
    return ""
