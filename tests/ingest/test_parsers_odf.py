"""OpenDocument texts, sheets and slides, sound and hostile."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from rag.errors import CorruptDocument, ProtectedDocument
from rag.parsed import Page
from tests.ingest.parsed import blocks, outside, read, text

_NAMES = "urn:oasis:names:tc:opendocument:xmlns:"
_SPACES = " ".join(
    f'xmlns:{short}="{_NAMES}{long}:1.0"'
    for short, long in {
        "office": "office",
        "text": "text",
        "table": "table",
        "draw": "drawing",
        "style": "style",
        "presentation": "presentation",
    }.items()
)
KINDS = {"odt": "text", "ods": "spreadsheet", "odp": "presentation"}
SAMPLE = {
    "odt": "<text:p>Some words</text:p>",
    "ods": '<table:table table:name="S"><table:table-row><table:table-cell>'
    "<text:p>Some words</text:p></table:table-cell></table:table-row></table:table>",
    "odp": "<draw:page><draw:frame><draw:text-box><text:p>Some words</text:p></draw:text-box>"
    "</draw:frame></draw:page>",
}


def odf(path: Path, body: str, *, before: str = "", head: str = "", **members: str) -> Path:
    """A document with this body; `before` stands before its root, `head` before its body."""
    kind = KINDS[path.suffix[1:]]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", f"application/vnd.oasis.opendocument.{kind}")
        archive.writestr(
            "content.xml",
            f'<?xml version="1.0"?>{before}<office:document-content {_SPACES}>{head}<office:body>'
            f"<office:{kind}>{body}</office:{kind}></office:body></office:document-content>",
        )
        for member, data in members.items():
            archive.writestr(member.replace("__", "/").replace("_", ".", 1), data)
    return path


def table(*rows: str, name: str = "T") -> str:
    """A table; a row is its cells between bars."""
    lines = (
        "".join(f"<table:table-cell><text:p>{cell}</text:p></table:table-cell>" for cell in cells)
        for cells in (row.split("|") for row in rows)
    )
    inner = "".join(f"<table:table-row>{line}</table:table-row>" for line in lines)
    return f'<table:table table:name="{name}">{inner}</table:table>'


def contexts(page: Page) -> list[str]:
    return [block.context for block in page.blocks if block.kind == "row"]


def test_text(tmp_path: Path) -> None:
    body = (
        "<text:tracked-changes><text:deletion><text:p>gone</text:p></text:deletion>"
        "</text:tracked-changes>"
        '<text:p text:style-name="P1">Contract</text:p>'
        '<text:h text:outline-level="2">Prices</text:h>'
        "<text:p>The<text:s/>prices<text:tab/>are <text:span>in</text:span> euros.<text:note>"
        "<text:note-citation>1</text:note-citation><text:note-body><text:p>Without tax.</text:p>"
        "</text:note-body></text:note> All<office:annotation><text:p>Why?</text:p>"
        "</office:annotation> of them.<text:line-break/>Next line.</text:p>"
        "<text:list><text:list-item><text:p>first</text:p><text:list><text:list-item>"
        "<text:p>inner</text:p></text:list-item></text:list></text:list-item></text:list>"
        "<text:section><text:p>In a section<draw:frame><draw:text-box><text:p>boxed</text:p>"
        "</draw:text-box></draw:frame></text:p></text:section>"
        f"{table('A|B', 'C|D')}{table('only cell')}"
    )
    head = (
        '<office:automatic-styles><style:style style:name="P1" style:parent-style-name="Title"/>'
        "</office:automatic-styles>"
    )
    parsed = read(odf(tmp_path / "a.odt", body, head=head))
    page = parsed.pages[0]
    assert blocks(page) == [
        ("heading", "Contract"),
        ("heading", "Prices"),
        ("paragraph", "The prices are in euros. All of them.\nNext line."),
        ("paragraph", "Without tax."),
        ("list", "first"),
        ("list", "inner"),
        ("paragraph", "In a section"),
        ("paragraph", "boxed"),
        ("row", "A | B"),
        ("row", "C | D"),
        ("paragraph", "only cell"),
    ]
    assert [block.level for block in page.blocks[:2]] == [1, 2]
    assert contexts(page) == ["", "A | B"]
    assert parsed.title == "Contract"
    assert outside(page) == ""


def test_a_note_in_a_cell_follows_the_table(tmp_path: Path) -> None:
    note = "<text:note><text:note-body><text:p>Not ours.</text:p></text:note-body></text:note>"
    page = read(odf(tmp_path / "a.odt", table(f"A{note}|B", "C|D"))).pages[0]
    assert [text(page, block) for block in page.blocks] == ["A | B", "C | D", "Not ours."]


def test_the_title_is_in_the_properties(tmp_path: Path) -> None:
    meta = '<m xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>The title</dc:title></m>'
    assert read(odf(tmp_path / "a.odt", SAMPLE["odt"], meta_xml=meta)).title == "The title"
    assert read(odf(tmp_path / "b.odt", SAMPLE["odt"], meta_xml="<m/>")).title == ""


def cell(kind: str, shown: str = "shown", **values: str) -> str:
    given = " ".join(f'office:{key.replace("_", "-")}="{v}"' for key, v in values.items())
    return (
        f'<table:table-cell office:value-type="{kind}" {given}><text:p>{shown}</text:p>'
        "</table:table-cell>"
    )


def test_sheets(tmp_path: Path) -> None:
    empty = '<table:table-cell table:number-columns-repeated="16380"/>'
    values = (
        cell("string", "KP-1")
        + cell("currency", value="0.30000000000000004", currency="EUR")
        + cell("percentage", value="0.125")
        + cell("date", date_value="2025-02-01T00:00:00")
        + cell("date", date_value="2025-02-01T08:30:00")
        + cell("boolean", boolean_value="true")
        + cell("float", value="2480")
        + empty
    )
    names = ["Article", "Price", "Share", "Since", "At", "Sold", "Stock"]
    head = "".join(cell("string", name) for name in names)
    body = (
        '<table:table table:name="Pumps"><table:table-row>'
        f"{cell('string', 'Price list')}</table:table-row>"
        f'<table:table-row table:number-rows-repeated="1048000">{empty}</table:table-row>'
        f"<table:table-header-rows><table:table-row>{head}"
        "</table:table-row></table:table-header-rows>"
        f'<table:table-row table:number-rows-repeated="2">{values}</table:table-row></table:table>'
        '<table:table table:name="Empty"/>'
    )
    parsed = read(odf(tmp_path / "a.ods", body))
    page = parsed.pages[0]
    row = "KP-1 | 0.3 EUR | 12.5% | 2025-02-01 | 2025-02-01 08:30 | TRUE | 2480"
    assert [page.label for page in parsed.pages] == ["Pumps", "Empty"]
    assert blocks(page) == [
        ("paragraph", "Price list"),
        ("row", " | ".join(names)),
        ("row", row),
        ("row", row),
    ]
    assert contexts(page) == ["", *[" | ".join(names)] * 2]
    assert parsed.pages[1].text == ""


def test_a_sheet_that_repeats_without_end(tmp_path: Path) -> None:
    body = (
        '<table:table><table:table-row table:number-rows-repeated="99999999999">'
        '<table:table-cell table:number-columns-repeated="90000"><text:p>x</text:p>'
        "</table:table-cell></table:table-row></table:table>"
    )
    parsed = read(odf(tmp_path / "a.ods", body))
    assert parsed.pages[0].text.startswith("x | x | x")
    assert len(parsed.pages[0].text) < 100_000


def frame(words: str, role: str = "") -> str:
    paragraphs = "".join(f"<text:p>{line}</text:p>" for line in words.split("/"))
    return (
        f'<draw:frame presentation:class="{role}"><draw:text-box>{paragraphs}</draw:text-box>'
        "</draw:frame>"
    )


def test_slides(tmp_path: Path) -> None:
    body = "".join(
        f"<draw:page>{frame('For internal use')}{frame(f'Slide {i}', 'title')}{frame('one/two')}"
        f"{frame('1', 'page-number')}<draw:g><draw:custom-shape><text:p>grouped {i}</text:p>"
        f"</draw:custom-shape></draw:g><draw:frame>{table('A|B', 'C|D')}</draw:frame>"
        f"<presentation:notes><draw:page-thumbnail/>{frame(f'Say it {i} times.', 'notes')}"
        "</presentation:notes></draw:page>"
        for i in range(5)
    )
    parsed = read(odf(tmp_path / "a.odp", body))
    assert [page.label for page in parsed.pages] == [f"Slide {i}" for i in range(5)]
    assert parsed.title == "Slide 0"
    page = parsed.pages[3]
    assert blocks(page) == [
        ("heading", "Slide 3"),
        ("list", "one"),
        ("list", "two"),
        ("paragraph", "grouped 3"),
        ("row", "A | B"),
        ("row", "C | D"),
        ("paragraph", "Say it 3 times."),
    ]
    assert contexts(page) == ["", "A | B"]
    assert outside(page) == "For internal use"


@pytest.mark.parametrize("kind", KINDS)
def test_a_password(tmp_path: Path, kind: str) -> None:
    manifest = (
        f'<manifest:manifest xmlns:manifest="{_NAMES}manifest:1.0"><manifest:file-entry '
        'manifest:full-path="content.xml"><manifest:encryption-data/></manifest:file-entry>'
        "</manifest:manifest>"
    )
    path = odf(tmp_path / f"a.{kind}", SAMPLE[kind])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("META-INF/manifest.xml", manifest)
    with pytest.raises(ProtectedDocument, match="locked with a password"):
        read(path)


@pytest.mark.parametrize("kind", KINDS)
def test_truncated(tmp_path: Path, kind: str) -> None:
    path = odf(tmp_path / f"a.{kind}", SAMPLE[kind])
    assert "Some words" in read(path).pages[0].text
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(CorruptDocument, match=f"“a.{kind}” is damaged"):
        read(path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_stream(tmp_path: Path, kind: str) -> None:
    path = odf(tmp_path / f"a.{kind}", SAMPLE[kind])
    data = bytearray(path.read_bytes())
    at = data.index(b"content.xml") + len(b"content.xml")
    data[at : at + 40] = b"\xff" * 40
    path.write_bytes(data)
    with pytest.raises(CorruptDocument, match="damaged"):
        read(path)


@pytest.mark.parametrize("kind", KINDS)
def test_another_kind_under_this_name(tmp_path: Path, kind: str) -> None:
    other = {"odt": "ods", "ods": "odp", "odp": "odt"}[kind]
    path = odf(tmp_path / f"a.{other}", SAMPLE[other]).rename(tmp_path / f"b.{kind}")
    with pytest.raises(CorruptDocument, match=f"“b.{kind}” is damaged or not what its name says"):
        read(path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("broken", ["<text:p>", "<office:deep>" * 400, "&#0;"])
def test_xml_that_is_none(tmp_path: Path, kind: str, broken: str) -> None:
    with pytest.raises(CorruptDocument, match="damaged"):
        read(odf(tmp_path / f"a.{kind}", broken))


@pytest.mark.parametrize("kind", KINDS)
def test_entities_are_neither_read_nor_multiplied(tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("TOPSECRET")
    laughs = '<!ENTITY l0 "ha">' + "".join(
        f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10)
    )
    doctype = f'<!DOCTYPE x [<!ENTITY leak SYSTEM "{secret.as_uri()}">{laughs}]>'
    body = SAMPLE[kind].replace("Some words", "Some &leak; &l9; words")
    try:
        found = read(odf(tmp_path / f"a.{kind}", body, before=doctype)).pages[0].text
    except CorruptDocument as error:
        found = str(error)
    assert "TOPSECRET" not in found
    assert "haha" not in found


@pytest.mark.parametrize("kind", KINDS)
def test_bombs_are_refused_before_they_are_unpacked(tmp_path: Path, kind: str) -> None:
    path = odf(tmp_path / f"a.{kind}", "<text:p>" + " " * 60_000_000 + "</text:p>")
    assert path.stat().st_size < 100_000
    with pytest.raises(CorruptDocument, match=r"expands to 60,0.*refused"):
        read(path)
