"""Lays out a source as a PPTX file: one slide per ``=== slide: Title`` section."""

from pathlib import Path
from typing import Any

from pptx import Presentation
from pptx.util import Inches, Pt

from builders.markup import Source, parse_blocks
from builders.packages import document_date, normalise_package

_NOTES = "notes:"
_LAYOUT = "Title Only"


def _add_table(slide: Any, rows: list[list[str]], top: float) -> None:
    """Add a table below the text of a slide."""
    height = Inches(0.35 * len(rows))
    shape = slide.shapes.add_table(
        len(rows), len(rows[0]), Inches(0.5), Inches(top), Inches(9), height
    )
    for row_number, row in enumerate(rows):
        for column, text in enumerate(row):
            cell = shape.table.cell(row_number, column)
            cell.text = text
            cell.text_frame.paragraphs[0].font.size = Pt(13)


def _add_lines(slide: Any, lines: list[str], height: float) -> None:
    """Add the text lines of a slide in one text box."""
    box = slide.shapes.add_textbox(Inches(0.5), Inches(1.4), Inches(9), Inches(height))
    frame = box.text_frame
    frame.word_wrap = True
    for number, line in enumerate(lines):
        paragraph = frame.paragraphs[0] if number == 0 else frame.add_paragraph()
        paragraph.text = line
        paragraph.font.size = Pt(18)


def _add_footer(slide: Any, text: str) -> None:
    """Add the small line that every slide repeats at its foot."""
    box = slide.shapes.add_textbox(Inches(0.5), Inches(7.0), Inches(9), Inches(0.4))
    box.text_frame.text = text
    box.text_frame.paragraphs[0].font.size = Pt(9)


def _add_slide(deck: Any, layout: Any, title: str, lines: list[str], footer: str) -> None:
    """Add one slide with title, text lines, tables, footer and speaker notes."""
    notes = [line[len(_NOTES) :].strip() for line in lines if line.startswith(_NOTES)]
    blocks = parse_blocks([line for line in lines if not line.startswith(_NOTES)])
    slide = deck.slides.add_slide(layout)
    slide.shapes.title.text = title
    texts = [block.text for block in blocks if block.kind != "table"]
    height = 0.5 * len(texts)
    if texts:
        _add_lines(slide, texts, height)
    top = 1.5 + height
    for block in blocks:
        if block.kind == "table":
            _add_table(slide, block.rows, top)
            top += 0.4 * len(block.rows) + 0.2
    _add_footer(slide, footer)
    if notes:
        slide.notes_slide.notes_text_frame.text = "\n".join(notes)


def _set_properties(deck: Any, meta: dict[str, str]) -> None:
    """Give the presentation fixed properties."""
    properties = deck.core_properties
    properties.title, properties.author = meta["title"], meta.get("author", "")
    properties.created = properties.modified = document_date(meta)
    properties.last_modified_by, properties.revision = properties.author, 1


def build_pptx(source: Source, path: Path) -> None:
    """Write the PPTX file of a source."""
    deck = Presentation()
    layout = deck.slide_layouts.get_by_name(_LAYOUT)
    for other in list(deck.slide_layouts):
        if other.name != _LAYOUT:
            deck.slide_layouts.remove(other)
    _set_properties(deck, source.meta)
    for title, lines in source.sections():
        _add_slide(deck, layout, title, lines, source.meta.get("footer", ""))
    deck.save(str(path))
    normalise_package(path, document_date(source.meta))
