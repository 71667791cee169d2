"""RTF, EPUB, JSON and source code, sound and hostile."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from rag.errors import CorruptDocument, ProtectedDocument
from rag.parsed import Parsed
from tests.ingest.parsed import blocks, read


def parse(tmp_path: Path, name: str, content: str | bytes) -> Parsed:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read(path)


# --- RTF


def test_rtf(tmp_path: Path) -> None:
    source = (
        r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}{\info{\title Price list}}"
        r"\pard Gr\'fc\'dfe \u8364? \u-10179?\u-8638? \par Second\tab one\line and more\par"
        "\n"
        r"\trowd\cellx1\cellx2\intbl A\cell B\cell\row\trowd\intbl C\cell D|E\cell\row"
        r"\pard{\*\generator x;}\par Last.}"
    )
    parsed = parse(tmp_path, "a.rtf", source)
    page = parsed.pages[0]
    assert blocks(page) == [
        ("paragraph", "Grüße € 🙂"),
        ("paragraph", "Second one"),
        ("paragraph", "and more"),
        ("row", "A | B"),
        ("row", "C | D | E"),
        ("paragraph", "Last."),
    ]
    assert [block.context for block in page.blocks if block.kind == "row"] == ["", "A | B"]
    assert parsed.title == "Price list"


@pytest.mark.parametrize(
    "source",
    [
        r"{\rtf1 some words \par and",
        r"{\rtf1",
        r"{\rtf1\ansi\ansicpg1252 \'e",
        r"{\rtf1 \u99999999999 x",
    ],
)
def test_rtf_that_is_cut(tmp_path: Path, source: str) -> None:
    with pytest.raises(CorruptDocument, match=r"“a.rtf” is damaged"):
        parse(tmp_path, "a.rtf", source)


def test_rtf_with_impossible_numbers(tmp_path: Path) -> None:
    with pytest.raises(CorruptDocument, match="ValueError"):
        parse(tmp_path, "a.rtf", r"{\rtf1 \u2000000000 x}")


def test_rtf_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(CorruptDocument, match="is not an RTF file"):
        parse(tmp_path, "a.rtf", "plain words")


# --- EPUB

BOOK = {
    "OEBPS/nav.xhtml": "<h1>Contents</h1><ol><li>One</ol>",
    "OEBPS/cover.xhtml": "<img src='c.png'/>",
    "OEBPS/ch 1.xhtml": "<h1>Chapter one</h1><p>First words.</p>",
    "OEBPS/ch2.xhtml": "<p>Words of an <a id='x'/>untitled chapter.</p>",
    "OEBPS/unused.xhtml": "<p>never shown</p>",
}
PACKAGE = """<?xml version="1.0"?>{before}
<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:title>The {title}</dc:title></metadata><manifest>
<item id="n" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>
<item id="c" href="cover.xhtml" media-type="application/xhtml+xml"/>
<item id="1" href="ch%201.xhtml" media-type="application/xhtml+xml"/>
<item id="2" href="ch2.xhtml" media-type="application/xhtml+xml"/>
<item id="u" href="unused.xhtml" media-type="application/xhtml+xml"/>
<item id="l" href="lost.xhtml" media-type="application/xhtml+xml"/>
<item id="p" href="c.png" media-type="image/png"/></manifest>
<spine><itemref idref="n"/><itemref idref="c"/><itemref idref="1"/><itemref idref="2"/>
<itemref idref="1"/><itemref idref="l"/><itemref idref="p"/><itemref idref="none"/></spine>
</package>
"""


def epub(path: Path, before: str = "", title: str = "Book", **extra: str) -> Path:
    root = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", root)
        archive.writestr("OEBPS/book.opf", PACKAGE.format(before=before, title=title))
        for member, body in BOOK.items():
            archive.writestr(
                member,
                '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html>'
                '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>The Book</title></head>'
                f"<body>{body}</body></html>",
            )
        for name, data in extra.items():
            archive.writestr(f"META-INF/{name}.xml", data)
    return path


def test_epub(tmp_path: Path) -> None:
    parsed = read(epub(tmp_path / "a.epub"))
    assert parsed.title == "The Book"
    assert [(page.number, page.label) for page in parsed.pages] == [(1, "Chapter one"), (2, "")]
    assert blocks(parsed.pages[0]) == [("heading", "Chapter one"), ("paragraph", "First words.")]
    assert blocks(parsed.pages[1]) == [("paragraph", "Words of an untitled chapter.")]


def encryption(member: str, algorithm: str) -> str:
    return (
        '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" '
        'xmlns:e="http://www.w3.org/2001/04/xmlenc#"><e:EncryptedData>'
        f'<e:EncryptionMethod Algorithm="{algorithm}"/><e:CipherData>'
        f'<e:CipherReference URI="{member}"/></e:CipherData></e:EncryptedData></encryption>'
    )


def test_an_epub_with_a_lock(tmp_path: Path) -> None:
    lock = encryption("OEBPS/ch2.xhtml", "http://www.w3.org/2001/04/xmlenc#aes128-cbc")
    with pytest.raises(ProtectedDocument, match="DRM"):
        read(epub(tmp_path / "a.epub", encryption=lock))


def test_an_epub_with_scrambled_fonts_is_read(tmp_path: Path) -> None:
    fonts = encryption("OEBPS/font.otf", "http://www.idpf.org/2008/embedding")
    assert len(read(epub(tmp_path / "a.epub", encryption=fonts)).pages) == 2


def test_epub_truncated(tmp_path: Path) -> None:
    path = epub(tmp_path / "a.epub")
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(CorruptDocument, match=r"“a.epub” is damaged"):
        read(path)


@pytest.mark.parametrize("container", ["<broken", "<container/>"])
def test_epub_without_its_parts(tmp_path: Path, container: str) -> None:
    path = tmp_path / "a.epub"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("META-INF/container.xml", container)
    with pytest.raises(CorruptDocument, match="damaged"):
        read(path)


def test_a_zip_under_the_name_of_an_epub(tmp_path: Path) -> None:
    path = tmp_path / "a.epub"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("holiday.txt", "photos")
    with pytest.raises(CorruptDocument, match="what its name says"):
        read(path)


def test_epub_entities_are_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("TOPSECRET")
    doctype = f'<!DOCTYPE package [<!ENTITY leak SYSTEM "{secret.as_uri()}">]>'
    parsed = read(epub(tmp_path / "a.epub", doctype, "&leak;"))
    assert "TOPSECRET" not in parsed.title


def test_epub_bombs(tmp_path: Path) -> None:
    path = epub(tmp_path / "a.epub", big=" " * 60_000_000)
    with pytest.raises(CorruptDocument, match="refused"):
        read(path)


# --- JSON


def test_json_object(tmp_path: Path) -> None:
    page = parse(
        tmp_path,
        "a.json",
        '{"name": "Pump", "size": {"width": 1.50, "unit": null, "ok": true}, "tags": ["a", "b"],\n'
        '"parts": [{"id": 1, "of": {"kind": "x"}}, {"id": 12345678901234567890}], "empty": []}',
    ).pages[0]
    assert blocks(page) == [
        ("list", "name: Pump"),
        ("list", "size.width: 1.50"),
        ("list", "size.ok: true"),
        ("list", "tags: a, b"),
        ("row", "id: 1 | of.kind: x"),
        ("row", "id: 12345678901234567890"),
    ]
    assert [block.context for block in page.blocks] == ["", "", "", "", "parts", "parts"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json"])
def test_json_lines(tmp_path: Path, name: str) -> None:
    page = parse(tmp_path, name, '{"a": 1, "b": "x\\ny"}\n\n{"a": 2, "a": 3}\r\n"word"\n').pages[0]
    assert blocks(page) == [("row", "a: 1 | b: x y"), ("row", "a: 2 | a: 3"), ("row", "word")]


def test_json_array_with_long_records(tmp_path: Path) -> None:
    long = "A sentence of some words. " * 40
    page = parse(tmp_path, "a.json", f'[{{"id": 7, "text": "{long}"}}, [1, [2, 3]], 5]').pages[0]
    assert blocks(page) == [
        ("paragraph", "id: 7"),
        ("paragraph", f"text: {long.strip()}"),
        ("row", "[0]: 1 | [1]: 2, 3"),
        ("row", "5"),
    ]


@pytest.mark.parametrize(
    ("name", "source", "words"),
    [
        ("a.json", '{"a": 1,\n"b": }', "line 2: Expecting value"),
        ("a.json", '{"a": "cut', "line 1: Unterminated string"),
        ("a.jsonl", '{"a": 1}\n{"a": 2', "line 2: Expecting"),
        ("a.json", '{"a": 1}\nnonsense', "line 2: Expecting value"),
        ("a.json", "[" * 100_000, "nested too deeply"),
        ("a.json", '{"a":' * 100_000 + "1" + "}" * 100_000, "nested too deeply"),
        ("a.jsonl", "1\n" + "[" * 100_000, "line 2 is nested too deeply"),
    ],
)
def test_json_that_is_none(tmp_path: Path, name: str, source: str, words: str) -> None:
    with pytest.raises(CorruptDocument, match=words):
        parse(tmp_path, name, source)


def test_json_with_enormous_numbers(tmp_path: Path) -> None:
    digits = "9" * 20_000
    page = parse(tmp_path, "a.json", f'{{"a": {digits}, "b": 1e999999, "c": NaN}}').pages[0]
    assert page.text == f"a: {digits}\n\nb: 1e999999\nc: NaN"


def test_json_without_words(tmp_path: Path) -> None:
    assert parse(tmp_path, "a.json", '{"a": null, "b": []}').pages[0].text == ""


# --- source code


def test_code_is_left_as_it_is(tmp_path: Path) -> None:
    source = "import os\n\n\nclass A:\n    def f(self):\n\n        return os\n"
    page = parse(tmp_path, "a.py", source).pages[0]
    assert page.text == source
    assert blocks(page) == [
        ("code", "import os"),
        ("code", "class A:\n    def f(self):"),
        ("code", "return os"),
    ]


def test_xml_says_its_encoding(tmp_path: Path) -> None:
    source = '<?xml version="1.0" encoding="iso-8859-2"?>\n<a>Łódź</a>'
    assert parse(tmp_path, "a.xml", source.encode("iso-8859-2")).pages[0].text == source


@pytest.mark.parametrize("name", ["a.yaml", "a.TS", "a.c", "a.tf", "a.sql"])
def test_other_languages(tmp_path: Path, name: str) -> None:
    assert blocks(parse(tmp_path, name, "one\n\ntwo").pages[0]) == [
        ("code", "one"),
        ("code", "two"),
    ]


def test_a_program_under_the_name_of_its_source(tmp_path: Path) -> None:
    with pytest.raises(CorruptDocument, match="a program"):
        parse(tmp_path, "a.c", b"\x7fELF" + bytes(100))
