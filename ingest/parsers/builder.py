"""Builds a page's text and its blocks together, so that offsets are right by construction."""

from __future__ import annotations

import re

from rag.parsed import Block, BlockKind, Page

# more of a header than any chunk has room for; it is kept with each row below it
LONGEST_CONTEXT = 2000
_LINE_ENDS = re.compile(r"\r\n?")
_DROPPED = re.compile("[\0\ud800-\udfff]")
_SPACES = re.compile(r"[ \t\n\r\f\v\u00a0\u2028\u2029]+")
_FILE_NAME = re.compile(
    r"\.(?:docx?|pptx?|xlsx?|pdf|html?|rtf|tex|indd|qxd|txt|md|od[tspg])$", re.IGNORECASE
)
_PROGRAM = re.compile(
    r"microsoft (?:word|powerpoint|excel)\b.*|powerpoint[- ]pr.*|\(?(?:anonymous|unspecified|"
    r"untitled|unnamed|no title|title|word document|document ?\d*|presentation ?\d*|slide ?1|cover|"
    r"printing)\)?",
    re.IGNORECASE,
)
_MADE_UP = re.compile(
    r"(?:(?:picture|image|grafik|bild|immagine|imagen|graphic|shape|object|photo)s?\s*\d*|"
    r"\S+\.(?:png|jpe?g|gif|bmp|tiff?|svg|emf|wmf|webp))",
    re.IGNORECASE,
)
_GENERATED = re.compile(
    r"description automatically generated(?: with \w+ confidence)?|automatisch generierte "
    r"beschreibung|ai-generated content may be incorrect",
    re.IGNORECASE,
)
_TIGHT = ("row", "list")


def clean(text: str) -> str:
    """Text with `\\n` as its only line end, without NULs and lone surrogates; else unchanged."""
    if "\r" in text:
        text = _LINE_ENDS.sub("\n", text)
    return _DROPPED.sub("", text)


def flat(text: str) -> str:
    """Text on one line, each run of white space a single space."""
    return _SPACES.sub(" ", text).strip()


def row_text(cells: list[str]) -> str:
    """A table's row as text, its cells joined by ` | `; empty cells at its end are left out."""
    kept = [flat(cell) for cell in cells]
    while kept and not kept[-1]:
        kept.pop()
    return flat(" | ".join(kept)) if any(kept) else ""


def sensible_title(text: str) -> str:
    """A title as it stands in a file's properties, or empty where a program made it up."""
    title = flat(clean(text))
    letters = sum(c.isalpha() for c in title)
    if _PROGRAM.fullmatch(title) or _FILE_NAME.search(title) or "/" in title[:1]:
        return ""
    return title if letters >= 3 and letters * 2 >= len(title.replace(" ", "")) else ""


def described(text: str) -> str:
    """A picture's alternative text, or empty where no one wrote it."""
    words = flat(_GENERATED.sub("", text)).strip(" .,;") if _GENERATED.search(text) else flat(text)
    return "" if _MADE_UP.fullmatch(words) else words


class PageBuilder:
    """Collects blocks in order; `page` gives the page."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._blocks: list[Block] = []
        self._length = 0
        self._last: BlockKind = "paragraph"

    def __bool__(self) -> bool:
        return bool(self._blocks)

    @property
    def length(self) -> int:
        """Characters so far."""
        return self._length

    def add(
        self, text: str, kind: BlockKind = "paragraph", level: int = 0, context: str = ""
    ) -> None:
        """Append a block; text without visible characters is left out."""
        text = clean(text).strip()
        if not text:
            return
        start = self._put(text, "\n" if kind == self._last and kind in _TIGHT else "\n\n")
        self._blocks.append(
            Block(start, self._length, kind, level, clean(context[:LONGEST_CONTEXT]))
        )
        self._last = kind

    def add_furniture(self, text: str) -> None:
        """Append text that is seen on the page but is in no block, so never in a chunk."""
        text = clean(text).strip()
        if text:
            self._put(text, "\n\n")

    def _put(self, text: str, gap: str) -> int:
        """Append text after a gap; returns where it starts."""
        if self._parts:
            self._parts.append(gap)
            self._length += len(gap)
        start, self._length = self._length, self._length + len(text)
        self._parts.append(text)
        return start

    def rows(self, rows: list[list[str]], *, header: bool = True) -> None:
        """Append a table; its first row is the others' context where `header` is true."""
        texts = [text for text in map(row_text, rows) if text]
        context = texts[0] if header and len(texts) > 1 else ""
        for index, text in enumerate(texts):
            self.add(text, "row", context=context if index else "")

    def heading(self) -> str:
        """The first heading of the highest level so far, or empty."""
        headings = [b for b in self._blocks if b.kind == "heading"]
        if not headings:
            return ""
        best = min(headings, key=lambda b: b.level)
        return flat("".join(self._parts)[best.start : best.end])

    def page(self, number: int = 1, label: str = "") -> Page:
        """The page built so far."""
        return Page(number, "".join(self._parts), tuple(self._blocks), label=flat(clean(label)))
