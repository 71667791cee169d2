"""Word documents: headings, paragraphs, lists, tables and footnotes in their order."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.parsers.archive import check_archive, damaged
from ingest.parsers.builder import PageBuilder, flat, sensible_title
from rag.records import BlockKind, Parsed

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_STRICT_W = "{http://purl.oclc.org/ooxml/wordprocessingml/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_MATH_TEXT = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_HEADING = re.compile(r"heading ?([1-9])", re.IGNORECASE)
_BREAKS = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-"}
# what holds paragraphs and tables without being one
_WRAPPERS = tuple(f"{_W}{name}" for name in ("sdt", "sdtContent", "customXml", "ins", "moveTo"))
_LEFT_OUT = (_FALLBACK, f"{_W}del", f"{_W}moveFrom", f"{_W}instrText")


def parse(path: Path, name: str) -> Parsed:
    """A DOCX file as one page; headers and footers are left out, deleted text too.

    Raises CorruptDocument when it is damaged.
    """
    import docx
    from docx.opc.exceptions import OpcError
    from lxml.etree import LxmlError

    check_archive(path, name, "[Content_Types].xml")
    try:
        document = docx.Document(str(path))
        body = document.element.body
        if body is None or body.tag.startswith(_STRICT_W):
            raise damaged(name, "strict Open XML is not read")
        builder = PageBuilder()
        _Story(builder, _Styles(document.styles.element), _footnotes(document)).read(body)
        title = sensible_title(document.core_properties.title or "")
    except (OpcError, LxmlError, zipfile.BadZipFile, KeyError, ValueError, AttributeError) as error:
        raise damaged(name, type(error).__name__) from error
    return Parsed((builder.page(),), title or builder.heading())


def _footnotes(document: Any) -> dict[str, str]:
    """The footnotes and endnotes by `kind:id`."""
    from lxml import etree

    notes: dict[str, str] = {}
    for relation in document.part.rels.values():
        kind = relation.reltype.rpartition("/")[2]
        if kind not in ("footnotes", "endnotes") or relation.is_external:
            continue
        parser = etree.XMLParser(resolve_entities=False, no_network=True)
        root = etree.fromstring(relation.target_part.blob, parser)
        for note in root:
            # separators are notes of a type
            if note.get(f"{_W}type") in (None, "normal"):
                text = " ".join(_text(p) for p in note.iter(f"{_W}p"))
                notes[f"{kind}:{note.get(f'{_W}id')}"] = flat(text)
    return notes


class _Styles:
    """Heading levels and list styles, by style id, through the styles they are based on."""

    def __init__(self, root: Any) -> None:
        self._styles = {style.get(f"{_W}styleId"): style for style in root.iter(f"{_W}style")}

    def kind(self, paragraph: Any) -> tuple[BlockKind, int]:
        """A paragraph's kind and, for a heading, its level."""
        properties = paragraph.find(f"{_W}pPr")
        if properties is None:
            return "paragraph", 0
        level = _outline(properties)
        reference = properties.find(f"{_W}pStyle")
        chain = list(self._chain(reference.get(f"{_W}val"))) if reference is not None else []
        for style in chain:
            level = level or self._level(style)
        if level:
            return "heading", min(level, 6)
        numbered = any(x.find(f".//{_W}numPr") is not None for x in (properties, *chain))
        return ("list" if numbered else "paragraph"), 0

    def _chain(self, key: str) -> Iterator[Any]:
        seen = set()
        while key in self._styles and key not in seen:
            seen.add(key)
            yield self._styles[key]
            based = self._styles[key].find(f"{_W}basedOn")
            key = based.get(f"{_W}val") if based is not None else ""

    def _level(self, style: Any) -> int:
        named = style.find(f"{_W}name")
        name = named.get(f"{_W}val", "") if named is not None else ""
        if name.lower() == "title":
            return 1
        found = _HEADING.fullmatch(name)
        properties = style.find(f"{_W}pPr")
        return int(found.group(1)) if found else _outline(properties)


def _outline(properties: Any) -> int:
    level = properties.find(f"{_W}outlineLvl") if properties is not None else None
    value = level.get(f"{_W}val", "") if level is not None else ""
    return int(value) + 1 if value.isdigit() and int(value) < 9 else 0


class _Story:
    """Reads the body's elements into blocks; a footnote follows what refers to it."""

    def __init__(self, builder: PageBuilder, styles: _Styles, notes: dict[str, str]) -> None:
        self._builder = builder
        self._styles = styles
        self._notes = notes

    def read(self, parent: Any) -> None:
        """Add the blocks of an element's children."""
        for child in parent:
            if child.tag == f"{_W}p":
                self._paragraph(child)
            elif child.tag == f"{_W}tbl":
                self._table(child)
            elif child.tag in _WRAPPERS:
                self.read(child)

    def _paragraph(self, paragraph: Any) -> None:
        kind, level = self._styles.kind(paragraph)
        self._builder.add(_tidy(_text(paragraph)), kind, level)
        for box in paragraph.iter(f"{_W}txbxContent"):
            if not any(parent.tag == _FALLBACK for parent in box.iterancestors()):
                self.read(box)
        self._add_notes(paragraph)

    def _table(self, table: Any) -> None:
        rows = [list(_cells(row)) for row in _rows(table)]
        if all(len(row) < 2 for row in rows):
            for row in rows:
                for cell in row:
                    self.read(cell)
            return
        self._builder.rows([[_cell_text(cell) for cell in row] for row in rows])
        self._add_notes(table)

    def _add_notes(self, element: Any) -> None:
        for kind in ("footnote", "endnote"):
            for reference in element.iter(f"{_W}{kind}Reference"):
                note = self._notes.pop(f"{kind}s:{reference.get(f'{_W}id')}", "")
                self._builder.add(note)


def _rows(parent: Any) -> Iterator[Any]:
    for child in parent:
        if child.tag == f"{_W}tr":
            yield child
        elif child.tag in _WRAPPERS:
            yield from _rows(child)


def _cells(parent: Any) -> Iterator[Any]:
    for child in parent:
        if child.tag == f"{_W}tc":
            yield child
        elif child.tag in _WRAPPERS:
            yield from _cells(child)


def _cell_text(cell: Any) -> str:
    return " ".join(_text(paragraph) for paragraph in cell.iter(f"{_W}p"))


def _text(paragraph: Any) -> str:
    """The text of a paragraph as it stands after all changes; text boxes apart."""
    parts: list[str] = []
    stack = list(reversed(paragraph))
    while stack:
        element = stack.pop()
        tag = element.tag
        if tag in (f"{_W}t", _MATH_TEXT):
            parts.append(element.text or "")
        elif tag in _BREAKS:
            parts.append(_BREAKS[tag])
        elif tag not in _LEFT_OUT and tag not in (f"{_W}txbxContent", f"{_W}pPr"):
            stack.extend(reversed(element))
    return "".join(parts)


def _tidy(text: str) -> str:
    return "\n".join(line for line in map(flat, text.split("\n")) if line)
