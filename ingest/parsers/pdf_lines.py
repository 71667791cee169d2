"""The lines of a PDF page with the place of each word, as pdfium finds them.

Boxes here are in points on the page as it looks: origin top left, rotated, cropped.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rag.parsed import Box

_WORD = re.compile(r"\S+")
# pdfium puts \x02 for a hyphen at the end of a line, and then no line end
_LINE = re.compile(r"[^\r\n\x02\ufffe]+[\x02\ufffe]?|[\x02\ufffe]")
# an alef and a lam: one glyph for both is read from its wrong end by pdfium
_ALEF_LAM = re.compile("[\u0627\u0623\u0625\u0622]\u0644")
# Latin letters and Hebrew or Arabic ones in one word: such texts are often set without the space
_MIXED = re.compile(
    "(?<=[A-Za-z])(?=[\u0590-\u08ff])|(?<=[\u05d0-\u05ea\u0620-\u064a])(?=[A-Za-z])"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_HYPHENS = ("\x02", "\ufffe", "\u00ad")
# what pdfium gives for ligatures and control characters, as people type it
_TYPED = str.maketrans(
    {
        "\ufb00": "ff",
        "\ufb01": "fi",
        "\ufb02": "fl",
        "\ufb03": "ffi",
        "\ufb04": "ffl",
        "\ufb05": "st",
        "\ufb06": "st",
        "\x02": "-",
        "\ufffe": "-",
        "\u00ad": "",
        "\ufeff": "",
        # bullets of fonts of symbols
        **dict.fromkeys("\uf0a7\uf0a8\uf0b7\uf0d8\uf0fc\uf076", "•"),
        **{chr(c): "•" for c in range(0x80, 0xA0)},
        **{chr(c): " " for c in range(32) if c not in (2, 9, 10, 13)},
    }
)
_BOLD = 600


@dataclass(slots=True)
class Word:
    """A word and where it stands, in points."""

    text: str
    box: Box


@dataclass(slots=True)
class Line:
    """A line of words. `size` is its font size in points; `hyphen`: its last word goes on."""

    words: list[Word]
    box: Box
    size: float
    bold: bool
    hyphen: bool = False

    @property
    def text(self) -> str:
        """The words with single spaces between them."""
        return " ".join(word.text for word in self.words)


@dataclass(slots=True)
class Sheet:
    """A page's lines and its size in points; `scanned` where OCR read them.

    `unread` where the page is damaged, or a scan that nothing reads.
    """

    lines: list[Line]
    width: float
    height: float
    scanned: bool = False
    unread: bool = False


def read_sheet(page: Any) -> Sheet:
    """The lines of a `pypdfium2.PdfPage` in pdfium's order."""
    width, height = page.get_size()
    textpage = page.get_textpage()
    try:
        text, index = _characters(textpage)
        measure = _Measure(textpage.raw, _upright(page, width, height))
        text = _ALEF_LAM.sub(lambda found: _in_order(found, index, measure), text)
        lines = []
        for found in _LINE.finditer(text):
            line = _line(text, found.start(), found.end(), index, measure)
            if line is not None:
                lines.append(line)
    finally:
        textpage.close()
    return Sheet(lines, width, height)


def _in_order(found: re.Match[str], index: Sequence[int], measure: _Measure) -> str:
    """Two letters of Arabic in the order in which they are read."""
    first, last = found.start(), found.end() - 1
    one_glyph = measure.box(index[first], index[first]) == measure.box(index[last], index[last])
    return found.group()[::-1] if one_glyph else found.group()


def _characters(textpage: Any) -> tuple[str, Sequence[int]]:
    """The page's text, and for each of its characters the index by which pdfium knows it."""
    import pypdfium2.raw as pdfium

    count = textpage.count_chars()
    if count <= 0:
        return "", ()
    buffer = (ctypes.c_ushort * (count + 2))()
    written = pdfium.FPDFText_GetText(textpage.raw, 0, count, buffer)
    text = bytes(buffer)[: max(0, written - 1) * 2].decode("utf-16-le", "surrogatepass")
    if len(text) == count and not _SURROGATE.search(text):
        return text, range(count)
    characters: list[str] = []
    index: list[int] = []
    for i in range(count):
        code = pdfium.FPDFText_GetUnicode(textpage.raw, i)
        if 0xDC00 <= code < 0xE000 and characters and "\ud800" <= characters[-1] < "\udc00":
            high = ord(characters.pop()) - 0xD800
            characters.append(chr(0x10000 + (high << 10) + code - 0xDC00))
        elif 0 < code < 0x110000:
            characters.append(chr(code))
            index.append(i)
    return "".join(c if not "\ud800" <= c <= "\udfff" else "\ufffd" for c in characters), index


def _upright(page: Any, width: float, height: float) -> Callable[[Any], Box]:
    """From a box in the page's own space to one in points on the page as it looks."""
    left, bottom, right, top = page.get_bbox()
    turns = page.get_rotation() // 90 % 4
    if turns == 0:
        return lambda r: (r.left - left, top - r.top, r.right - left, top - r.bottom)
    if turns == 1:
        return lambda r: (r.bottom - bottom, r.left - left, r.top - bottom, r.right - left)
    if turns == 2:
        return lambda r: (right - r.right, r.bottom - bottom, right - r.left, r.top - bottom)
    return lambda r: (top - r.top, right - r.right, top - r.bottom, right - r.left)


class _Measure:
    """Boxes, sizes and weights of characters."""

    def __init__(self, raw: Any, upright: Callable[[Any], Box]) -> None:
        import pypdfium2.raw as pdfium

        self._raw = raw
        self._upright = upright
        self._pdfium = pdfium
        self._rect = pdfium.FS_RECTF()
        self._matrix = pdfium.FS_MATRIX()
        self._name = ctypes.create_string_buffer(100)

    def box(self, first: int, last: int) -> Box:
        """The box around the characters from `first` to `last`, both included."""
        rect, get = self._rect, self._pdfium.FPDFText_GetLooseCharBox
        get(self._raw, first, rect)
        box = self._upright(rect)
        if last != first:
            get(self._raw, last, rect)
            box = around(box, self._upright(rect))
        return box

    def size(self, i: int) -> float:
        """The font size of a character as it looks, in points."""
        size: float = self._pdfium.FPDFText_GetFontSize(self._raw, i)
        if self._pdfium.FPDFText_GetMatrix(self._raw, i, self._matrix):
            size *= math.hypot(self._matrix.c, self._matrix.d) or 1.0
        return size

    def bold(self, i: int) -> bool:
        """Whether a character is set in bold."""
        if self._pdfium.FPDFText_GetFontWeight(self._raw, i) >= _BOLD:
            return True
        # the standard fonts say their weight in their name alone
        flags = ctypes.c_int()
        get = self._pdfium.FPDFText_GetFontInfo
        get(self._raw, i, self._name, len(self._name), flags)
        return b"bold" in self._name.value.lower()


def around(a: Box, b: Box) -> Box:
    """The smallest box around both."""
    return (min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]))


def _word_spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where words stand in a line: between spaces, and where the direction of writing changes."""
    for found in _WORD.finditer(text, start, end):
        first = found.start()
        for change in _MIXED.finditer(text, first, found.end()):
            if change.start() > first:
                yield first, change.start()
                first = change.start()
        yield first, found.end()


def _line(text: str, start: int, end: int, index: Sequence[int], measure: _Measure) -> Line | None:
    words: list[Word] = []
    spans: list[tuple[int, int]] = []
    for first, past in _word_spans(text, start, end):
        word = text[first:past].translate(_TYPED).strip()
        if not word or " " in word:
            word = "".join(word.split())
        if word:
            words.append(Word(word, measure.box(index[first], index[past - 1])))
            spans.append((first, past))
    if not words:
        return None
    lefts, tops, rights, bottoms = zip(*(word.box for word in words), strict=True)
    box = (min(lefts), min(tops), max(rights), max(bottoms))
    longest = max(spans, key=lambda span: span[1] - span[0])
    begin, last = index[spans[0][0]], index[spans[-1][1] - 1]
    bold = measure.bold(begin) and measure.bold(last)
    hyphen = text[spans[-1][1] - 1] in _HYPHENS
    return Line(words, box, measure.size(index[longest[0]]), bold, hyphen)
