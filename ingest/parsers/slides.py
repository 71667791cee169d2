"""Presentations: a page a slide, the speaker's notes after the slide's text."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ingest.parsers.archive import check_archive, damaged
from ingest.parsers.builder import PageBuilder, described, flat, sensible_title
from ingest.parsers.charts import add_chart, diagram_texts
from ingest.parsers.grid import filled
from ingest.parsers.ooxml import loosened
from ingest.parsers.xml import parse_xml
from rag.parsed import Page, Parsed

_FEWEST_SLIDES = 4
# in English Metric Units, 914,400 an inch: 7.5 mm
_SAME_HEIGHT = 270_000
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"
_DIAGRAM_DATA = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}dm"


def parse(path: Path, name: str) -> Parsed:
    """A PPTX file; a page's label is its slide's title. Raises CorruptDocument when damaged."""
    import pptx
    from lxml.etree import LxmlError
    from pptx.exc import PythonPptxError

    check_archive(path, name, "[Content_Types].xml")
    try:
        source = loosened(path)
        deck = pptx.Presentation(str(source) if isinstance(source, Path) else source)
        furniture = on_most(map(_alone, deck.slides))
        authors = _authors(deck.part)
        pages = tuple(
            _page(number, slide, furniture, authors) for number, slide in enumerate(deck.slides, 1)
        )
        title = sensible_title(deck.core_properties.title or "")
    except (
        PythonPptxError,
        LxmlError,
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        AttributeError,
    ) as error:
        raise damaged(name, type(error).__name__) from error
    return Parsed(pages, title or next((page.label for page in pages if page.label), ""))


def on_most(slides: Iterable[set[str]]) -> frozenset[str]:
    """The texts that stand on most slides, of those that stand alone in their shapes on each."""
    alone = list(slides)
    if len(alone) < _FEWEST_SLIDES:
        return frozenset()
    counts = Counter(text for texts in alone for text in texts)
    return frozenset(text for text, count in counts.items() if 2 * count > len(alone))


def _alone(slide: Any) -> set[str]:
    frames = (shape.text_frame for shape in _leaves(slide.shapes) if shape.has_text_frame)
    return {_flat_text(frame) for frame in frames if len(frame.paragraphs) == 1}


def _page(number: int, slide: Any, furniture: frozenset[str], authors: dict[str, str]) -> Page:
    builder = PageBuilder()
    heading = slide.shapes.title
    label = _flat_text(heading.text_frame) if heading is not None else ""
    builder.add(label, "heading", 1)
    last = []
    for shape in _as_seen(slide.shapes):
        if heading is not None and shape.shape_id == heading.shape_id:
            continue
        if getattr(shape, "has_table", False):
            builder.rows(_table(shape.table))
        elif getattr(shape, "has_chart", False):
            add_chart(builder, shape.chart_part.blob)
        elif getattr(shape, "has_text_frame", False) and not _is_furniture(shape):
            if _flat_text(shape.text_frame) in furniture:
                last.append(_flat_text(shape.text_frame))
            else:
                _add_frame(builder, shape.text_frame)
        else:
            _add_picture(builder, slide.part, shape)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        _add_frame(builder, slide.notes_slide.notes_text_frame)
    for comment in _comments(slide.part, authors):
        builder.add(comment)
    for text in last:
        builder.add_furniture(text)
    return builder.page(number, label)


def _table(table: Any) -> list[list[str]]:
    """A table's rows; a cell that spans others stands in their places too."""
    return filled(
        [
            [
                (cell.text, str(cell.span_width), str(cell.span_height))
                for cell in row.cells
                if not cell.is_spanned
            ]
            for row in table.rows
        ]
    )


def _add_picture(builder: PageBuilder, part: Any, shape: Any) -> None:
    """What a diagram says, or what someone wrote about a picture for those who cannot see."""
    for diagram in shape.element.iter(_DIAGRAM):
        data = part.related_part(diagram.get(_DIAGRAM_DATA, ""))
        for text in diagram_texts(data.blob):
            builder.add(text, "list")
    for properties in shape.element.iter("{*}cNvPr"):
        builder.add(described(properties.get("descr", "")))
        break


def _authors(deck: Any) -> dict[str, str]:
    """The names of those who wrote comments, by their ids."""
    authors: dict[str, str] = {}
    for kind in ("commentAuthors", "authors"):
        for root in _related(deck, kind):
            authors |= {author.get("id", ""): author.get("name", "") for author in root}
    return authors


def _comments(slide: Any, authors: dict[str, str]) -> Iterator[str]:
    """The comments on a slide and their replies, of the old form and the new."""
    for root in _related(slide, "comments"):
        for comment in root.iter("{*}cm", "{*}reply"):
            body = comment.find("{*}txBody")
            texts = [comment.findtext("{*}text") or ""] if body is None else body.itertext()
            text = flat(" ".join(texts))
            if text:
                author = authors.get(comment.get("authorId", "")) or "a reader"
                yield f"Comment by {author}: {text}"


def _related(part: Any, kind: str) -> Iterator[Any]:
    """The roots of a part's related parts of a kind."""
    for relation in part.rels.values():
        if relation.reltype.rpartition("/")[2] == kind and not relation.is_external:
            yield parse_xml(relation.target_part.blob)


def _as_seen(shapes: Any) -> list[Any]:
    """The shapes as one reads them, from top to bottom and, at one height, from the left.

    They are kept in the order in which they hide each other.
    """
    placed = [shape for shape in shapes if shape.top is not None and shape.left is not None]
    placed.sort(key=lambda shape: (round(shape.top / _SAME_HEIGHT), shape.left))
    rest = [shape for shape in shapes if shape.top is None or shape.left is None]
    return list(_leaves(placed + rest))


def _leaves(shapes: Iterable[Any]) -> Iterator[Any]:
    """The shapes with those of groups in their place."""
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _leaves(shape.shapes)
        else:
            yield shape


def _is_furniture(shape: Any) -> bool:
    """Whether a shape is a date, footer or slide number."""
    from pptx.enum.shapes import PP_PLACEHOLDER

    return shape.is_placeholder and shape.placeholder_format.type in (
        PP_PLACEHOLDER.DATE,
        PP_PLACEHOLDER.FOOTER,
        PP_PLACEHOLDER.HEADER,
        PP_PLACEHOLDER.SLIDE_NUMBER,
    )


def _add_frame(builder: PageBuilder, frame: Any) -> None:
    texts = list(_numbered(frame.paragraphs))
    kept = [text for text in texts if text]
    for text in kept:
        builder.add(text, "list" if len(kept) > 1 else "paragraph")


def _numbered(paragraphs: Iterable[Any]) -> Iterator[str]:
    """The paragraphs' texts, with the numbers that stand before them on the slide."""
    counts: dict[int, int] = {}
    for paragraph in paragraphs:
        text = flat(paragraph.text)
        mark = paragraph._p.find("{*}pPr/{*}buAutoNum")
        if mark is None or not mark.get("type", "").startswith("arabic"):
            counts.pop(paragraph.level, None)
            yield text
        elif text:
            start = mark.get("startAt", "1")
            first = int(start) if start.isdecimal() else 1
            counts[paragraph.level] = counts.get(paragraph.level, first - 1) + 1
            yield f"{counts[paragraph.level]}. {text}"


def _flat_text(frame: Any) -> str:
    return flat(frame.text)
