"""Spreadsheets: a page a sheet, a block a row; then the sheet's charts and comments."""

from __future__ import annotations

import datetime
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.parsers.archive import check_archive, damaged
from ingest.parsers.builder import PageBuilder, flat, sensible_title
from ingest.parsers.charts import add_chart
from ingest.parsers.ooxml import loosened, related
from ingest.parsers.table import add_rows
from ingest.parsers.xml import parse_xml
from rag.parsed import Page, Parsed


def parse(path: Path, name: str) -> Parsed:
    """An XLSX file; values as last calculated, hidden sheets too.

    Raises CorruptDocument when it is damaged, ParserStopped when it has too many cells.
    """
    import openpyxl
    from lxml.etree import LxmlError
    from openpyxl.utils.exceptions import InvalidFileException

    check_archive(path, name, "[Content_Types].xml")
    try:
        source = loosened(path)
        with path.open("rb") if isinstance(source, Path) else source as file:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
            with zipfile.ZipFile(file) as archive:
                pages = tuple(_pages(book, archive, name))
            return Parsed(pages, sensible_title(book.properties.title or ""))
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


def _pages(book: Any, archive: zipfile.ZipFile, name: str) -> Iterator[Page]:
    cells, people = 0, _people(archive)
    for number, (title, member) in enumerate(_members(archive), 1):
        builder = PageBuilder()
        # a sheet that is a chart and nothing else is none of these
        if title in book.sheetnames and hasattr(book[title], "iter_rows"):
            sheet = book[title]
            # the size that a sheet declares may be wrong, or enormous
            sheet.reset_dimensions()
            rows = ([_shown(cell) for cell in row] for row in sheet.iter_rows())
            cells = add_rows(builder, rows, name, cells)
        _add_related(builder, archive, member, people)
        yield builder.page(number, title)


def _book(archive: zipfile.ZipFile) -> str:
    """The member that lists the sheets."""
    parts = (member for kind, member in related(archive, "") if kind == "officeDocument")
    return next(parts, "xl/workbook.xml")


def _members(archive: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    """The sheets' names and members, in their order."""
    book = _book(archive)
    members = dict(related(archive, book, by_id=True))
    for sheet in parse_xml(archive.read(book)).iterfind("{*}sheets/{*}sheet"):
        key = next((v for k, v in sheet.attrib.items() if k.endswith("}id")), "")
        yield sheet.get("name", ""), members.get(key, "")


def _people(archive: zipfile.ZipFile) -> dict[str, str]:
    """The names of those who wrote comments in threads, by their ids."""
    book = _book(archive)
    parts = (member for kind, member in related(archive, book) if kind == "person")
    people = (person for part in parts for person in parse_xml(archive.read(part)))
    return {person.get("id", ""): person.get("displayName", "") for person in people}


def _add_related(
    builder: PageBuilder, archive: zipfile.ZipFile, member: str, people: dict[str, str]
) -> None:
    """Append a sheet's charts, text boxes and comments."""
    for kind, part in related(archive, member) if member else ():
        if kind == "drawing":
            for box in parse_xml(archive.read(part)).iter("{*}txBody"):
                builder.add(flat(" ".join(box.itertext())))
            for inner, chart in related(archive, part):
                if inner == "chart":
                    add_chart(builder, archive.read(chart))
        elif kind in ("comments", "threadedComment"):
            _add_comments(builder, parse_xml(archive.read(part)), people)


def _add_comments(builder: PageBuilder, root: Any, people: dict[str, str]) -> None:
    """Append comments, each with its author and its cell."""
    authors = [author.text or "" for author in root.iterfind("{*}authors/{*}author")]
    names = people | {str(number): author for number, author in enumerate(authors)}
    for comment in root.iter("{*}comment", "{*}threadedComment"):
        text = flat(" ".join(found.text or "" for found in comment.iter("{*}t", "{*}text")))
        author = names.get(comment.get("authorId") or comment.get("personId") or "", "")
        # Excel says in a comment of the old form that there is one in a thread
        if text and not author.startswith("tc="):
            author = author or "a reader"
            builder.add(f"Comment by {author} on {comment.get('ref', '')}: {text}")


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
