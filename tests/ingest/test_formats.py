"""A file's kind is decided by its name and checked by its content."""

from __future__ import annotations

import importlib

import pytest

from ingest.formats import KINDS, kind_of, suffix_kind
from rag.errors import CorruptDocument, EmptyDocument, ProtectedDocument, UnsupportedFormat

ZIP = b"PK\x03\x04" + bytes(60)
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(60)


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("a.pdf", b"%PDF-1.7\n", "pdf"),
        ("a.PDF", b"\n" * 900 + b"%PDF-1.4", "pdf"),
        ("hr/a.b.docx", ZIP, "docx"),
        ("a.pptx", ZIP, "pptx"),
        ("a.xlsx", ZIP, "xlsx"),
        ("a.csv", b"a;b\n1;2\n", "csv"),
        ("a.tsv", b"a\tb\n", "csv"),
        ("a.htm", b"<p>x", "html"),
        ("a.md", b"# x", "markdown"),
        ("a.txt", "Grüße".encode("cp1252"), "text"),
        ("a.txt", "wide".encode("utf-16"), "text"),
        ("a.txt", b"MZ Wallace makes bags.", "text"),
        ("a.txt", b"one stray \0 in a long line of text, as old mainframes leave them", "text"),
        ("a.eml", b"From: a@b.c\n\nx", "eml"),
        ("a.odt", ZIP, "odt"),
        ("a.ods", ZIP, "ods"),
        ("a.odp", ZIP, "odp"),
        ("a.epub", ZIP, "epub"),
        ("a.rtf", b"\r\n{\\rtf1 x}", "rtf"),
        ("a.msg", OLE, "msg"),
        ("a.jsonl", b"{}\n", "json"),
        ("a.py", b"x = 1\n", "code"),
        ("a.rst", b"words\n", "text"),
        ("a.webp", b"RIFF\0\0\0\0WEBPVP8 ", "image"),
        ("a.jpg", b"\x89PNG\r\n", "image"),
    ],
)
def test_kind(name: str, head: bytes, kind: str) -> None:
    assert kind_of(name, head) == kind


@pytest.mark.parametrize(
    ("name", "head", "words"),
    [
        ("a.pdf", b"hello", "is named .pdf but is not a PDF"),
        ("a.pdf", ZIP, "looks like a zip"),
        ("a.docx", b"hello", "not a .docx file"),
        ("a.docx", b"%PDF-1.7", "looks like a PDF; rename it to .pdf"),
        ("a.xlsx", b"\x89PNG\r\n", "PNG image"),
        ("a.txt", b"%PDF-1.7", "looks like a PDF; rename it to .pdf"),
        ("a.md", ZIP, "zip archive"),
        ("a.csv", OLE, "old Office file"),
        ("a.txt", b"\x7fELF" + bytes(60), "a program"),
        ("a.txt", b"MZ" + bytes(60), "Windows program"),
        ("a.html", b"\xff\xd8\xff\xe0", "JPEG"),
        ("a.txt", bytes(range(256)) * 4, "binary data"),
        ("a.odt", OLE, "old Office file"),
        ("a.epub", b"hello", "not a .epub file"),
        ("a.rtf", b"hello", "not an RTF file"),
        ("a.msg", b"From: a@b.c", "not an Outlook message"),
        ("a.json", OLE, "old Office file"),
        ("a.py", ZIP, "zip archive"),
        ("a.ts", b"G@" + bytes(300), "binary data"),
        # numbers of 16 bits, not letters
        ("a.txt", b"".join(bytes((n % 32, 0)) for n in range(1, 900)), "binary data"),
        ("a.png", b"%PDF-1.7", "not an image.*looks like a PDF"),
        ("a.webp", b"RIFF\0\0\0\0WAVEfmt ", "not an image"),
    ],
)
def test_content_that_is_not_what_the_name_says(name: str, head: bytes, words: str) -> None:
    with pytest.raises(CorruptDocument, match=words) as raised:
        kind_of(name, head)
    assert name in str(raised.value)


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.xlsx"])
def test_office_files_with_a_password(name: str) -> None:
    with pytest.raises(ProtectedDocument, match="without a password"):
        kind_of(name, OLE)


@pytest.mark.parametrize(
    "name", ["a.7z", "a.gz", "tar.gz", "a", "Makefile", ".pdf", "a.pdf.exe", "dir.pdf/a"]
)
def test_unknown_formats(name: str) -> None:
    with pytest.raises(UnsupportedFormat, match=r"\.docx.*\.pdf"):
        suffix_kind(name)


@pytest.mark.parametrize(("old", "new"), [("doc", "docx"), ("xls", "xlsx"), ("ppt", "pptx")])
def test_formats_of_old_offices(old: str, new: str) -> None:
    assert suffix_kind(f"a.{old.upper()}") == old
    assert KINDS[old].becomes == new


@pytest.mark.parametrize("suffix", ["tar", "tgz", "TAR.GZ", "tar.bz2", "Tar.xz"])
def test_suffixes_of_tar(suffix: str) -> None:
    assert suffix_kind(f"folder/a.b.{suffix}") == "tar"


def test_no_suffix_is_of_two_kinds() -> None:
    suffixes = [suffix for kind in KINDS.values() for suffix in kind.suffixes]
    assert len(suffixes) == len(set(suffixes))


def test_empty() -> None:
    with pytest.raises(EmptyDocument, match="0 bytes"):
        kind_of("a.pdf", b"")


def test_every_parser_is_there() -> None:
    for kind in KINDS.values():
        places = [place for place in (kind.parser, kind.unpacker) if place]
        assert places or KINDS[kind.becomes].parser
        for place in places:
            module, _, function = place.partition(":")
            assert callable(getattr(importlib.import_module(module), function))
