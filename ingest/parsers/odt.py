"""OpenDocument texts: headings, paragraphs, lists, tables and footnotes in their order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ingest.parsers.builder import PageBuilder
from ingest.parsers.odf import (
    OFFICE,
    STYLE,
    TABLE,
    TEXT,
    add_table,
    cells,
    open_odf,
    plain,
    read_inline,
    rows,
)
from rag.parsed import BlockKind, Parsed

# nothing in them is read on a page
_LEFT_OUT = frozenset(
    f"{TEXT}{name}"
    for name in str.split(
        "tracked-changes sequence-decls variable-decls user-field-decls "
        "table-of-content-source alphabetical-index-source"
    )
)
_DEEPEST = 6


def parse(path: Path, name: str) -> Parsed:
    """An ODT file as one page; headers and footers are left out, deleted text too.

    Raises CorruptDocument when it is damaged, ProtectedDocument when it has a password.
    """
    body, title = open_odf(path, name, "text")
    builder = PageBuilder()
    _Story(builder, _titles(body)).read(body)
    return Parsed((builder.page(),), title or builder.heading())


def _titles(body: Any) -> frozenset[str]:
    """The paragraph styles of a document's title: Title, and those made from it."""
    styles = body.getroottree().getroot().iterfind(f"{OFFICE}automatic-styles/{STYLE}style")
    derived = (
        style.get(f"{STYLE}name")
        for style in styles
        if style.get(f"{STYLE}parent-style-name") == "Title"
    )
    return frozenset(("Title", *(name for name in derived if name)))


class _Story:
    """Reads elements into blocks; a footnote follows what refers to it."""

    def __init__(self, builder: PageBuilder, titles: frozenset[str]) -> None:
        self._builder = builder
        self._titles = titles

    def read(self, parent: Any, kind: BlockKind = "paragraph") -> None:
        """Add the blocks of an element's children."""
        for child in parent:
            tag = child.tag
            if tag == f"{TEXT}h":
                self._paragraph(child, "heading", _level(child))
            elif tag == f"{TEXT}p":
                title = child.get(f"{TEXT}style-name") in self._titles
                self._paragraph(child, "heading" if title else kind, int(title))
            elif tag in (f"{TEXT}list", f"{TEXT}numbered-paragraph"):
                self.read(child, "list")
            elif tag == f"{TABLE}table":
                self._table(child)
            elif isinstance(tag, str) and tag not in _LEFT_OUT:
                self.read(child, kind)

    def _paragraph(self, paragraph: Any, kind: BlockKind, level: int) -> None:
        inline = read_inline(paragraph)
        self._builder.add(inline.text, kind, level)
        for frame in inline.frames:
            self.read(frame)
        self._add_notes(inline.notes)

    def _table(self, table: Any) -> None:
        lines = [list(cells(row)) for row in rows(table)]
        if all(len(line) < 2 for line in lines):
            for line in lines:
                for cell in line:
                    self.read(cell)
            return
        add_table(self._builder, table)
        self._add_notes(table.iter(f"{TEXT}note"))

    def _add_notes(self, notes: Any) -> None:
        for note in notes:
            for body in note.iter(f"{TEXT}note-body"):
                self._builder.add(plain(body))


def _level(heading: Any) -> int:
    level = heading.get(f"{TEXT}outline-level", "1")
    return min(int(level), _DEEPEST) if level.isdecimal() and int(level) else 1
