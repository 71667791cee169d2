"""Spreadsheets: a page a sheet, a block a row."""

from __future__ import annotations

import datetime
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.parsers.archive import check_archive, damaged
from ingest.parsers.builder import PageBuilder, sensible_title
from ingest.parsers.table import add_rows
from rag.records import Page, Parsed


def parse(path: Path, name: str) -> Parsed:
    """An XLSX file; values as last calculated, hidden sheets too.

    Raises CorruptDocument when it is damaged, ParserStopped when it has too many cells.
    """
    import openpyxl
    from lxml.etree import LxmlError
    from openpyxl.utils.exceptions import InvalidFileException

    check_archive(path, name, "[Content_Types].xml")
    try:
        with path.open("rb") as file:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
            return Parsed(tuple(_pages(book, name)), sensible_title(book.properties.title or ""))
    except (
        InvalidFileException,
        zipfile.BadZipFile,
        LxmlError,
        SyntaxError,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        IndexError,
        EOFError,
        OSError,
    ) as error:
        raise damaged(name, type(error).__name__) from error


def _pages(book: Any, name: str) -> Iterator[Page]:
    cells = 0
    for number, sheet in enumerate(book.worksheets, 1):
        builder = PageBuilder()
        # the size that a sheet declares may be wrong, or enormous
        sheet.reset_dimensions()
        rows = ([_shown(cell) for cell in row] for row in sheet.iter_rows())
        cells = add_rows(builder, rows, name, cells)
        yield builder.page(number, sheet.title)


def _shown(cell: Any) -> str:
    """A cell's value as people read it: ISO dates, numbers without noise, per cent as such."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, (int, float)):
        if "%" in (cell.number_format or ""):
            return f"{value * 100:.10g}%"
        return str(value) if isinstance(value, int) else f"{value:.15g}"
    if isinstance(value, datetime.datetime):
        midnight = value.time() == datetime.time()
        return value.date().isoformat() if midnight else value.isoformat(" ", "minutes")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return str(value)
