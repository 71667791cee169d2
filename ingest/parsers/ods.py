"""OpenDocument spreadsheets: a page a sheet, a block a row."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.parsers.archive import damaged
from ingest.parsers.builder import PageBuilder
from ingest.parsers.odf import OFFICE, TABLE, cells, open_odf, plain, rows
from ingest.parsers.table import MOST_CELLS, add_rows
from rag.parsed import Page, Parsed

# of one row or cell that is said to repeat, so many characters are written
_MOST_REPEATED = 20_000


def parse(path: Path, name: str) -> Parsed:
    """An ODS file; values as last calculated, hidden sheets too.

    Raises CorruptDocument when it is damaged, ProtectedDocument when it has a password,
    ParserStopped when it has too many cells.
    """
    body, title = open_odf(path, name, "spreadsheet")
    try:
        return Parsed(tuple(_pages(body, name)), title)
    except (ValueError, OverflowError) as error:
        raise damaged(name, type(error).__name__) from error


def _pages(body: Any, name: str) -> Iterator[Page]:
    count = 0
    for number, sheet in enumerate(body.iterfind(f"{TABLE}table"), 1):
        builder = PageBuilder()
        count = add_rows(builder, _filled(sheet), name, count)
        yield builder.page(number, sheet.get(f"{TABLE}name", ""))


def _filled(sheet: Any) -> Iterator[list[str]]:
    """The rows with their repetitions; an empty one only once, however often it stands there."""
    for row in rows(sheet):
        values: list[str] = []
        for cell in cells(row):
            shown = _shown(cell)
            values += [shown] * _times(cell, "columns", len(shown))
            if len(values) > MOST_CELLS:
                break
        while values and not values[-1]:
            values.pop()
        times = _times(row, "rows", sum(map(len, values)) + len(values)) if values else 1
        yield from itertools.repeat(values, times)


def _times(element: Any, what: str, length: int) -> int:
    """How often a row or cell of this length is written: as it says, within limits.

    Empty cells fill sheets to their last column; and a few bytes may say that a text stands there
    a million times.
    """
    times = element.get(f"{TABLE}number-{what}-repeated", "1")
    most = max(1, _MOST_REPEATED // length) if length else MOST_CELLS
    return min(max(1, int(times)), most) if times.isdecimal() else 1


def _shown(cell: Any) -> str:
    """A cell's value as people read it: ISO dates, numbers without noise, per cent as such."""
    kind = cell.get(f"{OFFICE}value-type", "")
    value = cell.get(f"{OFFICE}value", "")
    if kind == "percentage" and value:
        return f"{float(value) * 100:.10g}%"
    if kind in ("float", "currency") and value:
        return f"{float(value):.15g} {cell.get(f'{OFFICE}currency', '')}".rstrip()
    if kind == "date":
        return _date(cell.get(f"{OFFICE}date-value", ""))
    if kind == "boolean":
        return str(cell.get(f"{OFFICE}boolean-value", "")).upper()
    return plain(cell)


def _date(value: str) -> str:
    """`2025-02-01T08:30:00` as `2025-02-01 08:30`, and midnight as the day alone."""
    day, _, time = value.partition("T")
    return f"{day} {time[:5]}" if time and time.strip("0:.") else day
