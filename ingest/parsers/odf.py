"""What the OpenDocument formats (ODT, ODS, ODP) share: the archive, its XML, paragraphs' text."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.parsers.archive import check_archive, damaged
from ingest.parsers.builder import PageBuilder, flat, sensible_title
from rag.errors import ProtectedDocument

_NAMES = "urn:oasis:names:tc:opendocument:xmlns:"
DRAW = f"{{{_NAMES}drawing:1.0}}"
MANIFEST = f"{{{_NAMES}manifest:1.0}}"
OFFICE = f"{{{_NAMES}office:1.0}}"
PRESENTATION = f"{{{_NAMES}presentation:1.0}}"
STYLE = f"{{{_NAMES}style:1.0}}"
TABLE = f"{{{_NAMES}table:1.0}}"
TEXT = f"{{{_NAMES}text:1.0}}"
_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_LARGEST_MANIFEST = 10_000_000

_BREAKS = {f"{TEXT}tab": "\t", f"{TEXT}line-break": "\n"}
# within a paragraph, but not of its text
_APART = (f"{TEXT}note", f"{OFFICE}annotation", f"{TEXT}ruby-text", f"{TEXT}tracked-changes")
PARAGRAPHS = (f"{TEXT}p", f"{TEXT}h")
_ROW_GROUPS = tuple(f"{TABLE}{name}" for name in ("table-rows", "table-header-rows"))


@dataclass(slots=True)
class Inline:
    """A paragraph's text, and what is anchored in it: frames with text, footnotes."""

    text: str = ""
    frames: list[Any] = field(default_factory=list)
    notes: list[Any] = field(default_factory=list)


def open_odf(path: Path, name: str, body: str) -> tuple[Any, str]:
    """The element `office:BODY` of a document, and the title in its properties.

    Raises CorruptDocument when it is damaged or another kind, ProtectedDocument when it is
    locked with a password.
    """
    from lxml.etree import LxmlError

    check_archive(path, name, "content.xml")
    try:
        with zipfile.ZipFile(path) as archive:
            members = set(archive.namelist())
            if "META-INF/manifest.xml" in members:
                _check_manifest(archive, name)
            root = read_xml(archive, "content.xml")
            found = root.find(f"{OFFICE}body/{OFFICE}{body}")
            if found is None:
                raise damaged(name)
            title = ""
            if "meta.xml" in members:
                title = next(read_xml(archive, "meta.xml").iter(_TITLE)).text or ""
    except StopIteration:
        title = ""
    except (LxmlError, zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError) as error:
        raise damaged(name, type(error).__name__) from error
    return found, sensible_title(title)


def read_xml(archive: zipfile.ZipFile, member: str) -> Any:
    """The root of an archive's XML member; entities stay unread, and nothing is fetched."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    return etree.fromstring(archive.read(member), parser)


def _check_manifest(archive: zipfile.ZipFile, name: str) -> None:
    manifest = archive.getinfo("META-INF/manifest.xml")
    if manifest.file_size > _LARGEST_MANIFEST:
        raise damaged(name)
    root = read_xml(archive, "META-INF/manifest.xml")
    if next(root.iter(f"{MANIFEST}encryption-data"), None) is not None:
        raise ProtectedDocument(f"“{name}” is locked with a password. Save it without one.")


def read_inline(paragraph: Any) -> Inline:
    """What stands in a paragraph; deleted text, comments and footnotes are not in its text."""
    found = Inline()
    parts: list[str] = [paragraph.text or ""]
    # a string is the text after an element
    stack: list[Any] = []
    _push(stack, paragraph)
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            parts.append(item)
            continue
        tag = item.tag
        if tag in _BREAKS:
            parts.append(_BREAKS[tag])
        elif tag == f"{TEXT}s":
            parts.append(" ")
        elif tag == f"{TEXT}note":
            found.notes.append(item)
        elif isinstance(tag, str) and tag.startswith(DRAW) and tag != f"{DRAW}a":
            found.frames.append(item)
        elif isinstance(tag, str) and tag not in _APART:
            parts.append(item.text or "")
            _push(stack, item)
    lines = (flat(line) for line in "".join(parts).split("\n"))
    found.text = "\n".join(line for line in lines if line)
    return found


def _push(stack: list[Any], parent: Any) -> None:
    for child in reversed(parent):
        if child.tail:
            stack.append(child.tail)
        stack.append(child)


def paragraphs(element: Any) -> list[str]:
    """The paragraphs at any depth, each on one line; footnotes and comments are left out."""
    texts: list[str] = []
    stack = list(reversed(element))
    while stack:
        item = stack.pop()
        if item.tag in PARAGRAPHS:
            inline = read_inline(item)
            texts.append(flat(inline.text))
            stack.extend(reversed(inline.frames))
        elif item.tag not in _APART:
            stack.extend(reversed(item))
    return [text for text in texts if text]


def plain(element: Any) -> str:
    """All paragraphs at any depth as one line, such as a cell's."""
    return " ".join(paragraphs(element))


def rows(table: Any) -> Iterator[Any]:
    """A table's rows, those of header rows and groups in their place."""
    for child in table:
        if child.tag == f"{TABLE}table-row":
            yield child
        elif child.tag in _ROW_GROUPS or child.tag == f"{TABLE}table-row-group":
            yield from rows(child)


def cells(row: Any) -> Iterator[Any]:
    """A row's cells; those that another one covers too, which are empty."""
    for child in row:
        if child.tag in (f"{TABLE}table-cell", f"{TABLE}covered-table-cell"):
            yield child


def add_table(builder: PageBuilder, table: Any) -> None:
    """Append a table of a text or a slide, its first row as the others' header."""
    builder.rows([[plain(cell) for cell in cells(row)] for row in rows(table)])
