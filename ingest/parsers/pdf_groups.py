"""Which lines of a PDF page belong together: paragraphs, and the rows of tables."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ingest.parsers.pdf_lines import Line, Sheet, Word, around
from rag.parsed import BlockKind, Box

MARKER = re.compile(r"(?:[•●▪■◦○‣∙·*–—-]|\(?\d{1,3}[.)]|\(?[A-Za-z][.)]|\(?[ivx]{1,4}[.)])$")
DIGITS = re.compile(r"\d+")
ENDS = (".", "!", "?", ":", ";", "。", "”", '"')
CELL_END = " | "
_CELL_LINES = 8
# a gap of so many times the font's size stands between cells, and not between words
_WIDE = 1.3
# points by which what stands in one column may differ, and the heights of a line between two rows
_NEAR = 3.0
_ROWS_APART = 3.0
_ROW_LINES = 100


@dataclass(slots=True)
class Group:
    """Lines that belong together."""

    lines: list[Line]
    kind: BlockKind = "paragraph"
    level: int = 0
    context: str = ""
    table: bool = False  # a row that has another one beside it
    box: Box = field(init=False)

    def __post_init__(self) -> None:
        self.box = self.lines[0].box
        for line in self.lines[1:]:
            self.box = around(self.box, line.box)

    def add(self, line: Line) -> None:
        """Append a line."""
        self.lines.append(line)
        self.box = around(self.box, line.box)

    @property
    def text(self) -> str:
        """Its words, those of a table's row with bars between the cells."""
        found = ""
        for number, line in enumerate(self.lines):
            for position, word in enumerate(line.words):
                found += (self.after_word(number, position - 1) if position else "") + word.text
            if number + 1 < len(self.lines):
                found += CELL_END if self.ends_cell(number) else " "
        return found

    def after_word(self, number: int, position: int) -> str:
        """What stands between a word of a line and the next one: a space, or the end of a cell."""
        line = self.lines[number]
        ends = self.table and _is_wide(line, *line.words[position : position + 2])
        return CELL_END if ends else " "

    def ends_cell(self, number: int) -> bool:
        """Whether a cell of a table's row ends with a line: the next one is not below it."""
        if not self.table:
            return False
        line, following = self.lines[number : number + 2]
        return _beside(line, following) or abs(following.box[0] - _cells(line)[-1][0]) > _NEAR

    def beside(self, other: Group) -> bool:
        """Whether two rows are of one table: they stand close, and one of their columns does.

        The right edges of running text stand below one another too, those of figures say more.
        """
        height = self.lines[0].size
        if not -height < other.box[1] - self.box[3] < _ROWS_APART * height:
            return False
        mine, others = ([c for line in g.lines for c in _cells(line)] for g in (self, other))
        starts = any(abs(a[0] - b[0]) < _NEAR for a in mine[1:] for b in others[1:])
        ends = any(abs(a[1] - b[1]) < _NEAR for a in mine[1:] for b in others[1:])
        figures = self.lines[-1].text[-3:] + other.lines[-1].text[-3:]
        return starts or (ends and any(c.isdigit() for c in figures))


def group_lines(sheet: Sheet, edge: set[int]) -> list[Group]:
    """The lines of a page in groups; lines whose `id` is in `edge` stand alone."""
    lines = sheet.lines
    usual = _usual_gap(lines)
    margins = right_margins(lines)
    groups: list[Group] = []
    i = 0
    while i < len(lines):
        line = lines[i]
        start, end = _row(lines, i, edge)
        if end > i:
            # the first cell's lines were taken for a paragraph
            for _ in range(i - start):
                groups[-1].lines.pop()
                if not groups[-1].lines:
                    groups.pop()
            # a footnote's raised number stands beside its text as a cell would
            marked = end - start == 2 and len(lines[start].words) == 1
            note = marked and len(lines[start].text) <= 3 and lines[start].size < lines[i].size
            groups.append(Group(lines[start:end], "list" if note else "row"))
            i = end
            continue
        last = groups[-1] if groups and id(line) not in edge else None
        if last and last.kind == "row" and _under_cell(last, line):
            last.add(line)
        elif _tabular(line):
            groups.append(Group([line], "row"))
        elif (
            last
            and (last.kind == "paragraph" or _is_of_note(last, line))
            and id(last.lines[-1]) not in edge
            and _joins(last, line, usual, margins)
        ):
            last.add(line)
        else:
            groups.append(Group([line]))
        i += 1
    return groups


def _usual_gap(lines: Sequence[Line]) -> float:
    """The space between the lines of a paragraph, in points: a low quartile of all."""
    gaps = sorted(
        b.box[1] - a.box[3]
        for a, b in itertools.pairwise(lines)
        if -a.size < b.box[1] - a.box[3] < 1.5 * a.size and abs(a.size - b.size) < 0.1 * a.size
    )
    return gaps[len(gaps) // 4] if gaps else 0.0


def right_margins(lines: Sequence[Line]) -> dict[int, float]:
    """How far right the lines reach that begin near a place: bucket of 20 points to x."""
    right: dict[int, float] = {}
    for line in lines:
        bucket = int(line.box[0] // 20)
        for near in (bucket - 1, bucket, bucket + 1):
            right[near] = max(right.get(near, 0.0), line.box[2])
    return right


def _tabular(line: Line) -> bool:
    """Whether a line has cells: words with a wide gap between, after any list marker."""
    words = line.words
    first = 1 if MARKER.match(words[0].text) or DIGITS.match(words[0].text) else 0
    return any(_is_wide(line, a, b) for a, b in itertools.pairwise(words[first:]))


def _is_wide(line: Line, word: Word, following: Word) -> bool:
    """Whether the gap between two words of a line is one between cells."""
    return following.box[0] - word.box[2] > _WIDE * line.size


def _cells(line: Line) -> list[tuple[float, float]]:
    """Where the cells of a line begin and end, in points."""
    found = [(line.words[0].box[0], line.words[0].box[2])]
    for before, word in itertools.pairwise(line.words):
        if _is_wide(line, before, word):
            found.append((word.box[0], word.box[2]))
        else:
            found[-1] = (found[-1][0], word.box[2])
    return found


def _under_cell(row: Group, line: Line) -> bool:
    """Whether a line is the next one of a cell, but the first cell, of the row above it."""
    last = row.lines[-1]
    gap = line.box[1] - last.box[3]
    if not -0.8 * line.size < gap < 0.3 * line.size:
        return False
    if len(row.lines) > 1 and not _tabular(last):
        return abs(line.box[0] - last.box[0]) < 2
    starts = [b.box[0] for a, b in itertools.pairwise(last.words) if _is_wide(line, a, b)]
    return any(abs(line.box[0] - start) < 2 for start in starts)


def _joins(group: Group, line: Line, usual: float, margins: dict[int, float]) -> bool:
    """Whether a line continues the paragraph above it."""
    last = group.lines[-1]
    size = last.size
    gap = line.box[1] - last.box[3]
    return (
        _alike(last, line)
        and -0.8 * size < gap <= usual + 0.35 * size
        and line.box[1] > last.box[1] - 0.3 * size
        and line.box[0] < group.box[2]
        and line.box[2] > group.box[0]
        and last.bold == line.bold
        and not MARKER.match(line.words[0].text)
        and not (ended_early(last, line, margins) and last.text.endswith(ENDS))
    )


def _is_of_note(group: Group, line: Line) -> bool:
    """Whether a line may be a footnote's next, and is not the next note."""
    return group.kind == "list" and not DIGITS.fullmatch(line.words[0].text)


def _alike(line: Line, other: Line) -> bool:
    """Whether two lines are of about the same size."""
    return abs(line.size - other.size) <= 0.12 * max(line.size, other.size)


def ended_early(line: Line, following: Line, margins: dict[int, float]) -> bool:
    """Whether the next line's first word would have fitted on this one."""
    first = following.words[0].box
    need = line.box[2] + 0.3 * line.size + first[2] - first[0]
    return need < margins.get(int(line.box[0] // 20), line.box[2])


def _row(lines: Sequence[Line], i: int, edge: set[int]) -> tuple[int, int]:
    """The row whose cells are written one after the other, and whose second cell begins at `i`.

    A cell begins right of the one before, and no lower than it ends. Returns the span of
    its lines, or an empty one.
    """
    if i == 0 or not _beside(lines[i - 1], lines[i]):
        return i, i
    if (id(lines[i - 1]) in edge) != (id(lines[i]) in edge):
        return i, i
    line = lines[i]
    start = i - 1
    while start > 0 and i - start <= _CELL_LINES and id(lines[start - 1]) not in edge:
        above, here = lines[start - 1], lines[start]
        level = above.box[1] >= line.box[1] - 0.9 * line.size
        same_cell = (
            abs(above.box[0] - here.box[0]) < 2
            and -2 < here.box[1] - above.box[3] < 2
            and _alike(above, here)  # a footnote's raised number begins another
        )
        if not (level or same_cell) or _beside(above, here):
            break
        start -= 1
    end = i + 1
    while end < min(len(lines), i + _ROW_LINES) and id(lines[end]) not in edge:
        last, here = lines[end - 1], lines[end]
        below = abs(last.box[0] - here.box[0]) < 2 and -2 < here.box[1] - last.box[3] < 3
        if not (_beside(last, here) or below):
            break
        end += 1
    tall = max(x.box[3] for x in lines[start:end]) - min(x.box[1] for x in lines[start:end])
    if i - start > _CELL_LINES or tall > 2 * _CELL_LINES * line.size:
        return i, i
    return start, end


def _beside(left: Line, right: Line) -> bool:
    return (
        right.box[0] >= left.box[2] - 1
        and right.box[1] < left.box[3] - 0.3 * left.size
        and right.box[3] > left.box[1] - 3 * left.size * _CELL_LINES
    )


def is_narrow_row(before: Group, group: Group, after: Group) -> bool:
    """Whether a line between two rows is one too, its columns only standing close."""
    line = group.lines[0]
    return (
        len(group.lines) == 1
        and len(line.words) > 1
        and abs(line.size - before.lines[-1].size) < 0.5
        and 0 <= line.box[1] - before.box[1] < 3 * line.size
        and 0 <= after.box[1] - line.box[1] < 3 * line.size
        and abs(line.box[0] - before.box[0]) < 2
        and not line.text.endswith(ENDS)
    )
