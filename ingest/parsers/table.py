"""Rows of cells, however they were stored; and CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from ingest.parsers.builder import PageBuilder, clean, flat, row_text
from ingest.parsers.text import decode
from rag.errors import ParserStopped
from rag.parsed import Parsed

MOST_CELLS = 5_000_000
_DELIMITERS = ",;\t|"
_SAMPLE_CHARACTERS = 20_000
_SAMPLE_ROWS = 40
_NUMBER = re.compile(r"^[^\w]*\d[\d.,'’ :/%€$£-]*$")


def parse(path: Path, name: str) -> Parsed:
    """A CSV or TSV file as one page, a block a row. Raises ParserStopped for too many cells."""
    text = clean(decode(path.read_bytes()))
    csv.field_size_limit(1 << 30)
    builder = PageBuilder()
    add_rows(builder, csv.reader(io.StringIO(text), delimiter=_delimiter(text)), name)
    return Parsed((builder.page(),))


def add_rows(builder: PageBuilder, rows: Iterable[Sequence[str]], name: str, cells: int = 0) -> int:
    """Append the rows of a sheet: a `row` block each, its header as context.

    The header is the first row of two or more cells that are all words; single cells above it
    are paragraphs. An empty row and then a single cell begin a new table. `cells` were counted
    before; returns the new count. Raises ParserStopped above MOST_CELLS.
    """
    header, seeking, gap = "", True, False
    for row in rows:
        cells += len(row)
        if cells > MOST_CELLS:
            raise ParserStopped(
                f"“{name}” holds more than {MOST_CELLS:,} cells. Split it into smaller files."
            )
        text = row_text(list(row))
        filled = [cell for cell in row if cell and not cell.isspace()]
        if not filled:
            gap = True
            continue
        if len(filled) == 1 and (seeking or gap) and not _NUMBER.match(filled[0]):
            header, seeking, gap = "", True, False
            builder.add(flat(filled[0]))
            continue
        gap = False
        if seeking:
            seeking = False
            if len(filled) > 1 and not any(_NUMBER.match(cell.strip()) for cell in filled):
                header = text
                builder.add(text, "row")
                continue
        builder.add(text, "row", context=header)
    return cells


def _delimiter(text: str) -> str:
    """The character that cuts the first rows into most columns, most evenly."""
    sample = text[:_SAMPLE_CHARACTERS]
    if len(text) > len(sample):
        sample = sample[: sample.rfind("\n") + 1] or sample
    best, best_score = ",", 0.0
    for delimiter in _DELIMITERS:
        reader = csv.reader(io.StringIO(sample), delimiter=delimiter)
        widths = [len(row) for row, _ in zip(reader, range(_SAMPLE_ROWS), strict=False) if row]
        if not widths:
            continue
        usual = max(set(widths), key=lambda width: (widths.count(width), width))
        score = widths.count(usual) / len(widths) * (usual > 1) * (1 + usual / 1000)
        if score > best_score:
            best, best_score = delimiter, score
    return best
