"""E-books (EPUB): a zip of XHTML, a page for each of its documents in reading order."""

from __future__ import annotations

import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ingest.parsers.archive import check_archive, damaged
from ingest.parsers.builder import PageBuilder, flat
from ingest.parsers.odf import read_xml
from ingest.parsers.web import add_html, markup_text
from rag.errors import ProtectedDocument
from rag.parsed import Page, Parsed

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_CORE = "{http://purl.org/dc/elements/1.1/}"
_TITLE = f"{_CORE}title"
_MARKUP = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml", "text/x-oeb1-document")
_MARKUP_TAG = re.compile(r"<[^>]*>")
# fonts may be scrambled in books that anyone may read
_SCRAMBLED_FONTS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")


def parse(path: Path, name: str) -> Parsed:
    """An EPUB file; a page's label is its first heading, the contents page is left out.

    Raises CorruptDocument when it is damaged, ProtectedDocument when it is sold with a lock.
    """
    from lxml.etree import LxmlError

    check_archive(path, name, _CONTAINER)
    try:
        with zipfile.ZipFile(path) as archive:
            package = _package(archive)
            if package not in archive.namelist():
                raise damaged(name)
            root = read_xml(archive, package)
            spine = list(_spine(root, posixpath.dirname(package)))
            _check_lock(archive, spine, name)
            title = flat(next((found.text or "" for found in root.iter(_TITLE)), ""))
            return Parsed(tuple(_pages(archive, spine, title, _about(root))), title)
    except (LxmlError, zipfile.BadZipFile, zlib.error, OSError, KeyError, ValueError) as error:
        raise damaged(name, type(error).__name__) from error


def _package(archive: zipfile.ZipFile) -> str:
    """The member that lists the book's parts."""
    roots = read_xml(archive, _CONTAINER).iter("{*}rootfile")
    return next((str(root.get("full-path", "")) for root in roots), "")


def _about(package: Any) -> list[str]:
    """Who wrote the book, and what its publisher says of it; that may be HTML."""
    authors = [flat(found.text or "") for found in package.iter(f"{_CORE}creator")]
    texts = [", ".join(author for author in authors if author)]
    texts += [
        _MARKUP_TAG.sub(" ", found.text or "") for found in package.iter(f"{_CORE}description")
    ]
    return [text for text in map(flat, texts) if text]


def _spine(package: Any, folder: str) -> Iterator[str]:
    """The members with the book's text, in reading order, each once."""
    items = {item.get("id"): item for item in package.iterfind("{*}manifest/{*}item")}
    seen = set()
    for reference in package.iterfind("{*}spine/{*}itemref"):
        item = items.get(reference.get("idref"))
        if item is None or item.get("media-type") not in _MARKUP:
            continue
        href = unquote(item.get("href", "")).partition("#")[0]
        member = posixpath.normpath(posixpath.join(folder, href))
        if member not in seen and "nav" not in item.get("properties", "").split():
            seen.add(member)
            yield member


def _check_lock(archive: zipfile.ZipFile, spine: list[str], name: str) -> None:
    """Raise ProtectedDocument where any of the book's text is encrypted."""
    if _ENCRYPTION not in archive.namelist():
        return
    for entry in read_xml(archive, _ENCRYPTION).iter("{*}EncryptedData"):
        method = entry.find("{*}EncryptionMethod")
        if method is not None and method.get("Algorithm") in _SCRAMBLED_FONTS:
            continue
        for reference in entry.iter("{*}CipherReference"):
            if posixpath.normpath(unquote(reference.get("URI", ""))) in spine:
                raise ProtectedDocument(
                    f"“{name}” is protected by the shop that sold it (DRM) and cannot be read. "
                    "Add a copy without protection."
                )


def _pages(
    archive: zipfile.ZipFile, spine: list[str], title: str, about: list[str]
) -> Iterator[Page]:
    members, number = set(archive.namelist()), 0
    for member in spine:
        if member not in members:
            continue
        builder = PageBuilder()
        own = add_html(builder, markup_text(archive.read(member)), whole=True)
        if builder and not number:
            for text in about:
                builder.add(text)
        if builder:
            number += 1
            yield builder.page(number, builder.heading() or (own if own != title else ""))
