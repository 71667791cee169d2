"""Rich Text Format, by striprtf: paragraphs and the rows of tables, without their styles."""

from __future__ import annotations

import re
from pathlib import Path

from ingest.parsers.archive import damaged
from ingest.parsers.builder import PageBuilder, flat, row_text, sensible_title
from rag.parsed import Parsed

_START = re.compile(rb"\s*\{\\rtf")
_TITLE = re.compile(r"\{\\title\s([^{}\\]*)\}")
# a row that striprtf wrote: each cell ends with a bar
_ROW_END = "|"


def parse(path: Path, name: str) -> Parsed:
    """An RTF file as one page. Raises CorruptDocument for a damaged or cut one."""
    from striprtf import striprtf

    data = path.read_bytes()
    if not _START.match(data):
        raise damaged(name)
    source = data.decode("latin-1")
    if not source.rstrip("\0 \t\r\n").endswith("}"):
        raise damaged(name, "its end is missing")
    try:
        text = _paired(striprtf.rtf_to_text(source, errors="replace"))
    except (ValueError, OverflowError, IndexError, LookupError) as error:
        raise damaged(name, type(error).__name__) from error
    builder = PageBuilder()
    _add(builder, text)
    found = _TITLE.search(source)
    return Parsed((builder.page(),), sensible_title(found.group(1)) if found else "")


def _paired(text: str) -> str:
    """Text whose characters beyond 16 bits, which RTF writes as two, are one again."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _add(builder: PageBuilder, text: str) -> None:
    """Append the text's lines: each is a paragraph, or a row; rows one below the other a table."""
    table: list[list[str]] = []
    for line in text.split("\n"):
        if line.rstrip().endswith(_ROW_END):
            table.append([flat(cell) for cell in line.rstrip().removesuffix(_ROW_END).split("|")])
            continue
        _add_table(builder, table)
        builder.add(flat(line))
    _add_table(builder, table)


def _add_table(builder: PageBuilder, table: list[list[str]]) -> None:
    if all(len(row) < 2 for row in table):
        for row in table:
            builder.add(row_text(row))
    else:
        builder.rows(table)
    table.clear()
