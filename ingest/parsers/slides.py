"""Presentations: a page a slide, the speaker's notes after the slide's text."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ingest.parsers.archive import check_archive, damaged
from ingest.parsers.builder import PageBuilder, flat, sensible_title
from rag.records import Page, Parsed

_FEWEST_SLIDES = 4


def parse(path: Path, name: str) -> Parsed:
    """A PPTX file; a page's label is its slide's title. Raises CorruptDocument when damaged."""
    import pptx
    from lxml.etree import LxmlError
    from pptx.exc import PythonPptxError

    check_archive(path, name, "[Content_Types].xml")
    try:
        deck = pptx.Presentation(str(path))
        furniture = _furniture(deck.slides)
        slides = enumerate(deck.slides, 1)
        pages = tuple(_page(number, slide, furniture) for number, slide in slides)
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


def _furniture(slides: Any) -> frozenset[str]:
    """The texts, each alone in its shape, that stand on most slides."""
    if len(slides) < _FEWEST_SLIDES:
        return frozenset()
    counts: Counter[str] = Counter()
    for slide in slides:
        frames = (shape.text_frame for shape in _leaves(slide.shapes) if shape.has_text_frame)
        counts.update({_flat_text(frame) for frame in frames if len(frame.paragraphs) == 1})
    return frozenset(text for text, count in counts.items() if 2 * count > len(slides))


def _page(number: int, slide: Any, furniture: frozenset[str]) -> Page:
    builder = PageBuilder()
    heading = slide.shapes.title
    label = _flat_text(heading.text_frame) if heading is not None else ""
    builder.add(label, "heading", 1)
    last = []
    for shape in _leaves(slide.shapes):
        if heading is not None and shape.shape_id == heading.shape_id:
            continue
        if getattr(shape, "has_table", False):
            builder.rows([[cell.text for cell in row.cells] for row in shape.table.rows])
        elif getattr(shape, "has_text_frame", False) and not _is_furniture(shape):
            if _flat_text(shape.text_frame) in furniture:
                last.append(_flat_text(shape.text_frame))
            else:
                _add_frame(builder, shape.text_frame)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        _add_frame(builder, slide.notes_slide.notes_text_frame)
    for text in last:
        builder.add_furniture(text)
    return builder.page(number, label)


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
    texts = [flat(paragraph.text) for paragraph in frame.paragraphs]
    kept = [text for text in texts if text]
    for text in kept:
        builder.add(text, "list" if len(kept) > 1 else "paragraph")


def _flat_text(frame: Any) -> str:
    return flat(frame.text)
