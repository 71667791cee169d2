"""Plain text, and how bytes become text."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from ingest.parsers.builder import clean
from ingest.wide_text import unmarked_wide
from rag.parsed import Block, Page, Parsed

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Guesses that are believed. Between the single-byte encodings of western Europe a guess from few
# accents is no better than Windows' own, the commonest by far.
_BELIEVED = frozenset(
    str.split(
        "big5 big5hkscs cp932 cp949 cp950 euc_jp euc_jis_2004 euc_jisx0213 euc_kr gb18030 "
        "gb2312 gbk iso2022_jp iso2022_kr johab shift_jis shift_jis_2004 shift_jisx0213 cp1251 "
        "koi8_r koi8_u iso8859_5 cp866 cp1253 iso8859_7 cp1255 iso8859_8 cp1256 iso8859_6 "
        "tis_620 cp874 utf_16 utf_16_le utf_16_be"
    )
)
_SAMPLE = 60_000
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_PARAGRAPH = re.compile(r"[^\s](?:.|\n(?![ \t\f\v]*\n))*")


def parse(path: Path, name: str) -> Parsed:
    """A text file as one page; paragraphs stand between blank lines."""
    text = clean(decode(path.read_bytes()))
    blocks = tuple(Block(*span) for span in paragraphs(text))
    return Parsed((Page(1, text, blocks),))


def paragraphs(text: str) -> list[tuple[int, int]]:
    """The spans between blank lines, each without white space at its ends."""
    spans = []
    for found in _PARAGRAPH.finditer(text):
        start = found.start()
        end = start + len(found.group().rstrip())
        spans.append((start, end))
    return spans


def decode(data: bytes, declared: str = "") -> str:
    """Bytes as text: by mark or zeros (UTF-16), the declared encoding, strict UTF-8, then a guess.

    A byte that fits none becomes U+FFFD.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace").removeprefix("\ufeff")
    for encoding in (unmarked_wide(data), declared, "utf-8"):
        try:
            if encoding:
                return data.decode(encoding)
        except (LookupError, ValueError):
            continue
    return data.decode(_guess(data), "replace")


def _guess(data: bytes) -> str:
    """The likeliest encoding, from a sample around the first byte that is not ASCII."""
    from charset_normalizer import from_bytes

    found = _NOT_ASCII.search(data)
    first = found.start() if found else 0
    start = data.rfind(b"\n", 0, max(0, first - 2000)) + 1
    best = from_bytes(data[start : start + _SAMPLE]).best()
    if best is not None and best.encoding in _BELIEVED:
        return best.encoding
    return "cp1252"
