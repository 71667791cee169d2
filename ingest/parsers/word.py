"""Word documents: headings, paragraphs, lists, tables, charts and notes in their order."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.parsers.archive import check_archive, damaged
from ingest.parsers.builder import PageBuilder, described, flat, sensible_title
from ingest.parsers.charts import add_chart, diagram_texts
from ingest.parsers.grid import Cell, filled
from ingest.parsers.ooxml import loosened
from ingest.parsers.word_math import FORMULA, linear
from ingest.parsers.word_numbers import Numbers
from ingest.parsers.xml import parse_xml
from rag.parsed import BlockKind, Parsed

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}chart"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"
_PICTURE = "{http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing}docPr"
_RELATIONS = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_HEADING = re.compile(r"heading ?([1-9])", re.IGNORECASE)
_BREAKS = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-"}
# what holds paragraphs and tables without being one
_WRAPPERS = tuple(f"{_W}{name}" for name in ("sdt", "sdtContent", "customXml", "ins", "moveTo"))
# what refers to a note, and the part that holds it
_NOTES = {"footnote": "footnotes", "endnote": "endnotes", "comment": "comments"}
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
        source = loosened(path)
        document = docx.Document(str(source) if isinstance(source, Path) else source)
        body = document.element.body
        if body is None:
            raise damaged(name)
        builder = PageBuilder()
        _Story(builder, document).read(body)
        title = sensible_title(document.core_properties.title or "")
    except (OpcError, LxmlError, zipfile.BadZipFile, KeyError, ValueError, AttributeError) as error:
        raise damaged(name, type(error).__name__) from error
    return Parsed((builder.page(),), title or builder.heading())


def _notes(document: Any) -> dict[str, str]:
    """The footnotes, endnotes and comments by `kind:id`."""
    notes: dict[str, str] = {}
    for relation in document.part.rels.values():
        kind = relation.reltype.rpartition("/")[2]
        if kind not in _NOTES.values() or relation.is_external:
            continue
        for note in parse_xml(relation.target_part.blob):
            # separators are notes of a type
            if note.get(f"{_W}type") in (None, "normal"):
                text = flat(" ".join(_text(p) for p in note.iter(f"{_W}p")))
                if kind == "comments" and text:
                    text = f"Comment by {note.get(f'{_W}author') or 'a reader'}: {text}"
                notes[f"{kind}:{note.get(f'{_W}id')}"] = text
    return notes


def _part(document: Any, kind: str) -> Any:
    """The root of the document's only part of a kind, or None."""
    for relation in document.part.rels.values():
        if relation.reltype.rpartition("/")[2] == kind and not relation.is_external:
            return parse_xml(relation.target_part.blob)
    return None


class _Styles:
    """Heading levels and list styles, by style id, through the styles they are based on."""

    def __init__(self, root: Any, numbers: Numbers) -> None:
        self._styles = {style.get(f"{_W}styleId"): style for style in root.iter(f"{_W}style")}
        self._numbers = numbers

    def kind(self, paragraph: Any) -> tuple[BlockKind, int, str]:
        """A paragraph's kind, its level where it is a heading, and the number before it."""
        properties = paragraph.find(f"{_W}pPr")
        if properties is None:
            return "paragraph", 0, ""
        level = _outline(properties)
        reference = properties.find(f"{_W}pStyle")
        name = reference.get(f"{_W}val", "") if reference is not None else ""
        chain = list(self._chain(name))
        for style in chain:
            level = level or self._level(style)
        number = self._numbers.label([properties, *(s.find(f"{_W}pPr") for s in chain)], name)
        if level:
            return "heading", min(level, 6), number
        numbered = any(x.find(f".//{_W}numPr") is not None for x in (properties, *chain))
        return ("list" if numbered else "paragraph"), 0, number

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
    """Reads the body's elements into blocks; a note or comment follows what refers to it."""

    def __init__(self, builder: PageBuilder, document: Any) -> None:
        self._builder = builder
        self._parts = document.part.related_parts
        self._styles = _Styles(document.styles.element, Numbers(_part(document, "numbering")))
        self._notes = _notes(document)

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
        kind, level, number = self._styles.kind(paragraph)
        text = _tidy(_text(paragraph))
        self._builder.add(f"{number} {text}" if number and text else text, kind, level)
        self._add_pictures(paragraph)
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
        self._builder.rows(filled(_spanning(rows)))
        self._add_notes(table)

    def _add_pictures(self, paragraph: Any) -> None:
        """What charts and diagrams show, and what someone wrote about pictures."""
        for chart in paragraph.iter(_CHART):
            part = self._parts.get(chart.get(f"{_RELATIONS}id"))
            if part is not None:
                add_chart(self._builder, part.blob)
        for diagram in paragraph.iter(_DIAGRAM):
            part = self._parts.get(diagram.get(f"{_RELATIONS}dm"))
            for text in diagram_texts(part.blob) if part is not None else ():
                self._builder.add(text, "list")
        for picture in paragraph.iter(_PICTURE):
            if not any(parent.tag == _FALLBACK for parent in picture.iterancestors()):
                self._builder.add(described(picture.get("descr", "")))

    def _add_notes(self, element: Any) -> None:
        for kind, part in _NOTES.items():
            for reference in element.iter(f"{_W}{kind}Reference"):
                note = self._notes.pop(f"{part}:{reference.get(f'{_W}id')}", "")
                self._builder.add(note)


def _spanning(rows: list[list[Any]]) -> list[list[Cell]]:
    """The cells with the columns and rows that each covers; the parts of one cell become one."""
    found: list[list[Cell]] = []
    # by column, the place in `found` of a cell that reaches down
    above: dict[int, tuple[int, int]] = {}
    for row in rows:
        line: list[Cell] = []
        column = 0
        for cell in row:
            width, merge = _merging(cell)
            if merge == "continue" and column in above:
                number, position = above[column]
                text, columns, down = found[number][position]
                found[number][position] = (text, columns, str(int(down or 1) + 1))
            else:
                if merge:
                    above[column] = (len(found), len(line))
                else:
                    above.pop(column, None)
                line.append((_cell_text(cell), str(width), None))
            column += width
        found.append(line)
    return found


def _merging(cell: Any) -> tuple[int, str]:
    """Over how many columns a cell reaches; `restart`, `continue` or empty: merged with which."""
    properties = cell.find(f"{_W}tcPr")
    if properties is None:
        return 1, ""
    span, merge = properties.find(f"{_W}gridSpan"), properties.find(f"{_W}vMerge")
    width = span.get(f"{_W}val", "1") if span is not None else "1"
    down = str(merge.get(f"{_W}val") or "continue") if merge is not None else ""
    return (min(int(width), 60) if width.isdecimal() and int(width) else 1), down


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
        if tag == f"{_W}t":
            parts.append(element.text or "")
        elif tag == FORMULA:
            # set apart from the words around it, but for the marks that follow
            parts.append(f" {linear(element).strip()} ")
        elif tag in _BREAKS:
            parts.append(_BREAKS[tag])
        elif tag not in _LEFT_OUT and tag not in (f"{_W}txbxContent", f"{_W}pPr"):
            stack.extend(reversed(element))
    return "".join(parts)


def _tidy(text: str) -> str:
    return "\n".join(line for line in map(flat, text.split("\n")) if line)
