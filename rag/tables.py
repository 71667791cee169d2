"""Rows of tables in words: the header's label before each cell, as a reader of prose wants it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.evidence import Span
from rag.records import Passage

if TYPE_CHECKING:
    from rag.reading.page import Page

# the line of dashes below a Markdown table's header
_RULE = re.compile(r"[\s|:+-]+")
_FIGURES_ONLY = re.compile(r"[\d.,\s%€$£+-]+")
# a table of fewer columns may have labels in its first column instead
_SURE_COLUMNS = 3


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a row: `row.text[start:end]` is `passage.text[at : at + end - start]`."""

    start: int
    end: int
    at: int


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """A row such as “Country: Denmark; Full day: 52 euros”, after where its table stands."""

    text: str
    cells: tuple[Cell, ...]

    @property
    def told(self) -> str:
        """The row alone: what a title shows, it would show of every row."""
        return self.text.split("\n", 1)[-1]

    @property
    def labelled(self) -> tuple[tuple[str, str], ...]:
        """The label and the text of each cell; a label may be empty."""
        found, at = [], len(self.text) - len(self.told)
        for cell in self.cells:
            label = self.text[at : cell.start].removeprefix("; ").removesuffix(": ")
            found.append((label, self.text[cell.start : cell.end]))
            at = cell.end
        return tuple(found)


def labelled_row(span: Span) -> LabelledRow | None:
    """A row with its labels; None for other text, a header, or a table that seems to have none."""
    line = span.text
    if "|" not in line or "\n" in line or _RULE.fullmatch(line):
        return None
    cells = _cells(line)
    labels = _labels(span, len(cells)) if len(cells) > 1 else None
    if labels is None or labels == [text for _, text in cells]:
        return None
    row = f"{_place(span.passage)}\n"
    found: list[Cell] = []
    for label, (start, text) in zip(labels, cells, strict=True):
        if text:
            row += ("; " if found else "") + (f"{label}: " if label else "")
            found.append(Cell(len(row), len(row) + len(text), span.start + start))
            row += text
    return LabelledRow(row, tuple(found))


def is_header_row(span: Span) -> bool:
    """Whether a line labels the columns of the table below it, or rules one off from it."""
    line = span.text
    if "|" not in line or "\n" in line:
        return False
    if _RULE.fullmatch(line):
        return True
    cells = _texts(line)
    if len(cells) < 2:
        return False
    lines = span.passage.text[: span.start].rstrip("\n").rsplit("\n", 2)[-2:]
    nearest = next((one for one in reversed(lines) if not _RULE.fullmatch(one)), "")
    if len(_texts(nearest)) == len(cells):
        return False
    below, _ = _alike(span.passage.text[span.end :].split("\n")[1:], len(cells))
    return bool(below) and _is_header(cells, below)


def best_cell(row: LabelledRow, page: Page) -> tuple[float, int, int] | None:
    """The reader's score of a row that it read as `page`, and what it found within one cell: start
    and end in the passage's text. None where the row is longer than what a reader reads."""
    found = [(page.within(cell.start, cell.end), cell) for cell in row.cells]
    if any(reading.end <= cell.start for reading, cell in found):
        return None
    reading, cell = max(found, key=lambda one: one[0].score)
    shift = cell.at - cell.start
    return reading.score, reading.start + shift, reading.end + shift


def _cells(line: str) -> list[tuple[int, str]]:
    """Start and text of each cell of a line; Markdown's bars at both ends bound none."""
    found, at = [], 0
    for part in line.split("|"):
        found.append((at + len(part) - len(part.lstrip()), part.strip()))
        at += len(part) + 1
    bounded = len(found) > 2 and line.lstrip().startswith("|") and line.rstrip().endswith("|")
    return found[1:-1] if bounded else found


def _labels(span: Span, columns: int) -> list[str] | None:
    """The first line of a row's table, where it is a header; None where it is none.

    It stands above the row, or in the passage's context where the passage begins in the table.
    """
    passage = span.passage
    above, before = _alike(reversed(passage.text[: span.start].split("\n")[:-1]), columns)
    below, _ = _alike(passage.text[span.end :].split("\n")[1:], columns)
    if before is not None and "|" in before:  # a row that lacks a cell, and no table's end
        return None
    known = _texts(_header_line(passage))
    if before is None and len(known) == columns:
        header, others = known, [*above, *below]
    elif above:
        header, others = above[-1], [*above[:-1], *below]
    else:
        return None
    return header if _is_header(header, [*others, _texts(span.text)]) else None


def _header_line(passage: Passage) -> str:
    """What its chunk was told of its table's header, which stands last; a title may have bars."""
    place, _, header = passage.context.rpartition("\n")
    return header if place or not (header == passage.title or " > " in header) else ""


def _alike(lines: Iterable[str], columns: int) -> tuple[list[list[str]], str | None]:
    """The cells of the first lines that have so many, rules left out, and the line after them."""
    found: list[list[str]] = []
    for line in lines:
        if _RULE.fullmatch(line) and "|" in line:
            continue
        texts = _texts(line)
        if len(texts) != columns:
            return found, line
        found.append(texts)
    return found, None


def _texts(line: str) -> list[str]:
    return [text for _, text in _cells(line)]


def _is_header(first: Sequence[str], others: Sequence[Sequence[str]]) -> bool:
    """Whether a table's first row labels the others: its words stand above figures, or it is wide.

    Two columns of words may as well be labels and what they label, row by row.
    """
    if any(label.endswith(":") for label in first):
        return False
    wide = len(first) >= _SURE_COLUMNS
    for column, label in enumerate(first):
        below = [row[column] for row in others if row[column]]
        figures = sum(any(c.isdigit() for c in text) for text in below)
        needed = (len(below) + 1) // 2 if wide else max(1, round(0.8 * len(below)))
        if label and not any(c.isdigit() for c in label) and below and figures >= needed:
            return True
    worded = not any(_FIGURES_ONLY.fullmatch(label) for label in first if label)
    return worded and wide


def _place(passage: Passage) -> str:
    """Title and headings of a passage, without the header of its table."""
    place = passage.context.split("\n", 1)[0]
    return place if place and "|" not in place else passage.title
