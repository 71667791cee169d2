"""The order in which people read the lines that OCR found: by columns, then from the top."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from ingest.parsers.pdf_lines import Line, around

_FEWEST_LINES = 5  # of a column
_NARROWEST = 0.2  # column, of the page's width
_FULL = 0.6  # of a column's width that its lines fill on the whole; a table's cells do not
_STEPS = 60
_SAME_ROW = 0.5  # of the lower line's height
_JOINED = 0.7  # of the height: lines of one row that stand closer are one


def reading_order(lines: Sequence[Line], width: float) -> list[Line]:
    """The lines in reading order; pieces of one line are joined."""
    gutter = _gutter(lines, width)
    if gutter is None:
        return _rows(lines)
    ordered: list[Line] = []
    left: list[Line] = []
    right: list[Line] = []
    for line in sorted(lines, key=lambda line: line.box[1]):
        if line.box[2] <= gutter:
            left.append(line)
        elif line.box[0] >= gutter:
            right.append(line)
        else:
            # what spans both columns ends them
            ordered += reading_order(left, width) + reading_order(right, width)
            left, right = [], []
            ordered.append(line)
    return ordered + reading_order(left, width) + reading_order(right, width)


def _gutter(lines: Sequence[Line], width: float) -> float | None:
    """Where a column ends and the next begins, or None where there is one column."""
    if len(lines) < 2 * _FEWEST_LINES:
        return None
    start = min(line.box[0] for line in lines)
    end = max(line.box[2] for line in lines)
    best, fewest = None, len(lines) // 4
    for step in range(1, _STEPS):
        x = start + (end - start) * step / _STEPS
        left = [line for line in lines if line.box[2] <= x]
        right = [line for line in lines if line.box[0] >= x]
        crossing = len(lines) - len(left) - len(right)
        if crossing < fewest and _is_column(left, width) and _is_column(right, width):
            best, fewest = x, crossing
    return best


def _is_column(lines: Sequence[Line], width: float) -> bool:
    if len(lines) < _FEWEST_LINES:
        return False
    wide = max(line.box[2] for line in lines) - min(line.box[0] for line in lines)
    usual = statistics.median(line.box[2] - line.box[0] for line in lines)
    return wide >= _NARROWEST * width and usual >= _FULL * wide


def _rows(lines: Sequence[Line]) -> list[Line]:
    """Lines from top to bottom; those at one height from left to right."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: line.box[1] + line.box[3]):
        if rows and _beside(rows[-1][-1], line):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in _joined(sorted(row, key=lambda part: part.box[0]))]


def _beside(last: Line, line: Line) -> bool:
    shared = min(last.box[3], line.box[3]) - max(last.box[1], line.box[1])
    lower = min(last.box[3] - last.box[1], line.box[3] - line.box[1])
    return shared > _SAME_ROW * lower and (
        last.box[2] <= line.box[0] + lower or line.box[2] <= last.box[0] + lower
    )


def _joined(row: Sequence[Line]) -> list[Line]:
    """A row's lines, those close to each other as one."""
    joined: list[Line] = []
    for line in row:
        last = joined[-1] if joined else None
        if last and line.box[0] - last.box[2] < _JOINED * min(last.size, line.size):
            last.words += line.words
            last.box = around(last.box, line.box)
            last.size = max(last.size, line.size)
        else:
            joined.append(line)
    return joined
