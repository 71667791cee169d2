"""Lays out a source as an XLSX file: one sheet per ``=== sheet: Name`` section."""

import re
from pathlib import Path
from typing import Any

from openpyxl import Workbook
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from builders.markup import Source, table_row
from builders.packages import document_date, normalise_package

_NUMBER = re.compile(r"^-?\d+(\.\d+)?$")


def _value(text: str) -> str | int | float | None:
    """Return the value of a cell: numbers as numbers, an empty cell as nothing."""
    if not text:
        return None
    if _NUMBER.match(text):
        return float(text) if "." in text else int(text)
    return text


def _fill_sheet(sheet: Any, lines: list[str], footer: str) -> None:
    """Write the lines of a section: table rows as rows, other lines in the first column."""
    header_expected = True
    for line in lines:
        stripped = line.strip()
        if not stripped:
            header_expected = True
            sheet.append([])
            continue
        is_row = stripped.startswith("|")
        cells = table_row(stripped) if is_row else [stripped]
        sheet.append([_value(cell) for cell in cells])
        if is_row and header_expected:
            for cell in sheet[sheet._current_row]:
                cell.font = Font(bold=True)
            header_expected = False
    sheet.oddFooter.center.text = footer
    for column in range(1, sheet.max_column + 1):
        texts = [str(row[column - 1].value or "") for row in sheet.iter_rows()]
        width = min(max(len(text) for text in texts) + 2, 44)
        sheet.column_dimensions[get_column_letter(column)].width = width


def build_xlsx(source: Source, path: Path) -> None:
    """Write the XLSX file of a source."""
    workbook = Workbook()
    workbook.remove(workbook.active)
    properties = workbook.properties
    properties.title, properties.creator = source.meta["title"], source.meta.get("author", "")
    properties.created = properties.modified = document_date(source.meta)
    for name, lines in source.sections():
        _fill_sheet(workbook.create_sheet(name), lines, source.meta.get("footer", ""))
    workbook.save(str(path))
    normalise_package(path, document_date(source.meta))
