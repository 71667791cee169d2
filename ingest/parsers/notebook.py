"""Jupyter notebooks: their text and code, and what the code printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ingest.parsers.builder import PageBuilder, clean
from ingest.parsers.markdown import add_markdown
from ingest.parsers.text import decode
from rag.errors import CorruptDocument
from rag.parsed import Parsed

_LONGEST_OUTPUT = 20_000


def parse(path: Path, name: str) -> Parsed:
    """A notebook as one page, cell by cell. Raises CorruptDocument for what is none."""
    try:
        book = json.loads(decode(path.read_bytes()))
    except (ValueError, RecursionError) as error:
        raise _invalid(name) from error
    cells = book.get("cells") if isinstance(book, dict) else None
    if not isinstance(cells, list):
        raise _invalid(name)
    builder = PageBuilder()
    for cell in cells:
        if isinstance(cell, dict):
            _add(builder, cell)
    return Parsed((builder.page(),), builder.heading())


def _invalid(name: str) -> CorruptDocument:
    return CorruptDocument(
        f"“{name}” is not a Jupyter notebook of version 4. Open it in Jupyter and save it again."
    )


def _add(builder: PageBuilder, cell: dict[str, Any]) -> None:
    source = _joined(cell.get("source"))
    if cell.get("cell_type") == "markdown":
        add_markdown(builder, source)
        return
    builder.add(source, "code")
    outputs = cell.get("outputs")
    for output in outputs if isinstance(outputs, list) else ():
        if isinstance(output, dict):
            data = output.get("data")
            shown = data.get("text/plain") if isinstance(data, dict) else output.get("text")
            builder.add(_joined(shown)[:_LONGEST_OUTPUT], "code")


def _joined(value: Any) -> str:
    """A text that a notebook keeps whole or as a list of lines."""
    if isinstance(value, list):
        return clean("".join(part for part in value if isinstance(part, str)))
    return clean(value) if isinstance(value, str) else ""
