"""Word, PowerPoint and Excel files, sound and hostile."""

from __future__ import annotations

import datetime
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.parsers.archive import check_archive
from rag.errors import CorruptDocument, ProtectedDocument
from tests.ingest.parsed import blocks, outside, read

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def docx_file(path: Path) -> Path:
    import docx

    document = docx.Document()
    document.core_properties.title = ""
    document.add_heading("Contract", 0)
    document.add_heading("Prices", 2)
    document.add_paragraph("The prices are\tin euros.")
    document.add_paragraph("first", style="List Bullet")
    document.add_paragraph("second", style="List Number")
    table = document.add_table(2, 2)
    for cell, text in zip((c for row in table.rows for c in row.cells), "ABCD", strict=True):
        cell.text = text
    document.add_paragraph("After the table.")
    document.sections[0].header.paragraphs[0].text = "Running header"
    document.save(str(path))
    return path


def pptx_file(path: Path) -> Path:
    import pptx
    from pptx.util import Inches

    deck = pptx.Presentation()
    for number in range(5):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = f"Slide {number}"
        slide.placeholders[1].text = "one\ntwo"
        slide.shapes.add_textbox(0, 0, Inches(2), Inches(1)).text_frame.text = "For internal use"
    table = slide.shapes.add_table(2, 2, 0, 0, Inches(4), Inches(1)).table
    for i, text in enumerate("ABCD"):
        table.cell(i // 2, i % 2).text = text
    group = slide.shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, Inches(2), Inches(1)).text_frame.text = "grouped words"
    slide.notes_slide.notes_text_frame.text = "Say it slowly."
    deck.save(str(path))
    return path


def xlsx_file(path: Path) -> Path:
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Pumps"
    sheet.append(["Price list 2025"])
    sheet.append([])
    sheet.append(["Article", "Price", "Since", "Share"])
    sheet.append(["KP-1", 0.1 + 0.2, datetime.date(2025, 2, 1), 0.125])
    sheet.append(["KP-2", 2480.0, datetime.datetime(2025, 2, 1, 8, 30), True])
    sheet["D4"].number_format = "0.0%"
    sheet.append([])
    sheet.append([None, None, "a note", None, None])
    hidden = book.create_sheet("Secret")
    hidden.sheet_state = "hidden"
    hidden.append(["x", 1])
    book.create_sheet("Empty")
    book.save(path)
    return path


def test_docx(tmp_path: Path) -> None:
    parsed = read(docx_file(tmp_path / "a.docx"))
    page = parsed.pages[0]
    assert blocks(page) == [
        ("heading", "Contract"),
        ("heading", "Prices"),
        ("paragraph", "The prices are in euros."),
        ("list", "first"),
        ("list", "1. second"),
        ("row", "A | B"),
        ("row", "C | D"),
        ("paragraph", "After the table."),
    ]
    assert [block.level for block in page.blocks[:2]] == [1, 2]
    assert [block.context for block in page.blocks if block.kind == "row"] == ["", "A | B"]
    assert parsed.title == "Contract"
    assert outside(page) == ""


def rewrite(path: Path, member: str, change: Callable[[str], str]) -> Path:
    """The zip with one member changed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members[member] = change(members.get(member, b"").decode()).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_docx_changes_links_boxes_and_content_controls(tmp_path: Path) -> None:
    body = (
        "<w:p><w:r><w:t>kept </w:t></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del>"
        "<w:ins><w:r><w:t>added </w:t></w:r></w:ins>"
        "<w:hyperlink><w:r><w:t>link</w:t></w:r></w:hyperlink></w:p>"
        "<w:sdt><w:sdtContent><w:p><w:r><w:t>controlled</w:t></w:r></w:p></w:sdtContent></w:sdt>"
        "<w:p><w:r><w:t>outer</w:t><w:pict><w:txbxContent><w:p><w:r><w:t>boxed</w:t></w:r></w:p>"
        "</w:txbxContent></w:pict></w:r></w:p>"
        "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>only cell</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"
    )
    path = rewrite(
        docx_file(tmp_path / "a.docx"),
        "word/document.xml",
        lambda _: f'<w:document xmlns:w="{W}"><w:body>{body}</w:body></w:document>',
    )
    assert [text for _, text in blocks(read(path).pages[0])] == [
        "kept added link",
        "controlled",
        "outer",
        "boxed",
        "only cell",
    ]


def test_docx_footnotes_follow_their_paragraph(tmp_path: Path) -> None:
    path = docx_file(tmp_path / "a.docx")
    rewrite(
        path,
        "word/document.xml",
        lambda xml: xml.replace(
            "in euros.</w:t>", 'in euros.</w:t><w:footnoteReference w:id="2"/>'
        ),
    )
    rewrite(
        path,
        "word/footnotes.xml",
        lambda _: (
            f'<w:footnotes xmlns:w="{W}"><w:footnote w:id="2"><w:p><w:r><w:t>Without tax.'
            "</w:t></w:r></w:p></w:footnote></w:footnotes>"
        ),
    )
    rewrite(
        path,
        "word/_rels/document.xml.rels",
        lambda xml: xml.replace(
            "</Relationships>",
            '<Relationship Id="rId99" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
            'relationships/footnotes" Target="footnotes.xml"/></Relationships>',
        ),
    )
    texts = [text for _, text in blocks(read(path).pages[0])]
    assert texts[2:4] == ["The prices are in euros.", "Without tax."]


def test_pptx(tmp_path: Path) -> None:
    parsed = read(pptx_file(tmp_path / "a.pptx"))
    assert [page.label for page in parsed.pages] == [f"Slide {i}" for i in range(5)]
    assert parsed.title == "Slide 0"
    assert blocks(parsed.pages[0]) == [("heading", "Slide 0"), ("list", "one"), ("list", "two")]
    assert blocks(parsed.pages[4]) == [
        ("heading", "Slide 4"),
        # at the slide's top, above the text
        ("row", "A | B"),
        ("row", "C | D"),
        ("paragraph", "grouped words"),
        ("list", "one"),
        ("list", "two"),
        ("paragraph", "Say it slowly."),
    ]
    assert outside(parsed.pages[4]) == "For internal use"


def test_xlsx(tmp_path: Path) -> None:
    parsed = read(xlsx_file(tmp_path / "a.xlsx"))
    assert [page.label for page in parsed.pages] == ["Pumps", "Secret", "Empty"]
    page = parsed.pages[0]
    assert blocks(page) == [
        ("paragraph", "Price list 2025"),
        ("row", "Article | Price | Since | Share"),
        ("row", "KP-1 | 0.3 | 2025-02-01 | 12.5%"),
        ("row", "KP-2 | 2480 | 2025-02-01 08:30 | TRUE"),
        ("paragraph", "a note"),
    ]
    assert page.blocks[2].context == "Article | Price | Since | Share"
    assert page.blocks[1].context == ""
    assert parsed.pages[2].text == ""


def test_xlsx_that_claims_to_be_enormous(tmp_path: Path) -> None:
    path = rewrite(
        xlsx_file(tmp_path / "a.xlsx"),
        "xl/worksheets/sheet1.xml",
        lambda xml: xml.replace('ref="A1:E7"', 'ref="A1:XFD1048576"'),
    )
    assert "XFD1048576" in zipfile.ZipFile(path).read("xl/worksheets/sheet1.xml").decode()
    assert len(read(path).pages[0].blocks) == 5


MAKERS = {"docx": docx_file, "pptx": pptx_file, "xlsx": xlsx_file}
MAIN = {
    "docx": "word/document.xml",
    "pptx": "ppt/slides/slide1.xml",
    "xlsx": "xl/worksheets/sheet1.xml",
}


@pytest.mark.parametrize("kind", MAKERS)
def test_truncated(tmp_path: Path, kind: str) -> None:
    path = MAKERS[kind](tmp_path / f"a.{kind}")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(CorruptDocument, match=f"“a.{kind}” is damaged"):
        read(path)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_zip_of_something_else(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("holiday.txt", "photos")
    with pytest.raises(CorruptDocument, match="damaged or not what its name says"):
        read(path)


@pytest.mark.parametrize("kind", MAKERS)
def test_another_office_format_under_this_name(tmp_path: Path, kind: str) -> None:
    other = {"docx": "xlsx", "xlsx": "pptx", "pptx": "docx"}[kind]
    made = MAKERS[other](tmp_path / f"a.{other}")
    with pytest.raises(CorruptDocument, match=f"“b.{kind}”"):
        read(made.rename(tmp_path / f"b.{kind}"))


@pytest.mark.parametrize("kind", MAKERS)
def test_a_member_that_is_no_xml(tmp_path: Path, kind: str) -> None:
    path = rewrite(MAKERS[kind](tmp_path / f"a.{kind}"), MAIN[kind], lambda _: "<broken")
    with pytest.raises(CorruptDocument, match="damaged"):
        read(path)


@pytest.mark.parametrize("kind", MAKERS)
def test_external_entities_are_not_read(tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("TOPSECRET")
    doctype = f'<!DOCTYPE x [<!ENTITY leak SYSTEM "{secret.as_uri()}">]>'
    path = rewrite(MAKERS[kind](tmp_path / f"a.{kind}"), MAIN[kind], _entity(kind, doctype, "leak"))
    assert "TOPSECRET" not in _text_or_error(path)


@pytest.mark.parametrize("kind", MAKERS)
def test_entities_do_not_multiply(tmp_path: Path, kind: str) -> None:
    laughs = '<!ENTITY l0 "ha">' + "".join(
        f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10)
    )
    change = _entity(kind, f"<!DOCTYPE x [{laughs}]>", "l9")
    path = rewrite(MAKERS[kind](tmp_path / f"a.{kind}"), MAIN[kind], change)
    assert "haha" not in _text_or_error(path)


def _entity(kind: str, doctype: str, entity: str) -> Callable[[str], str]:
    """Puts a document type before a member's root and a reference to an entity into its text."""

    def change(xml: str) -> str:
        declaration, _, rest = xml.partition("?>")
        head, body = (declaration + "?>", rest) if rest else ("", xml)
        tag = {"docx": "w:t", "pptx": "a:t", "xlsx": "v"}[kind]
        at = next(i for i in (body.find(f"<{tag}>"), body.find(f"<{tag} ")) if i >= 0)
        at = body.index(">", at) + 1
        return f"{head}{doctype}{body[:at]}&{entity};{body[at:]}"

    return change


def _text_or_error(path: Path) -> str:
    try:
        return " ".join(page.text for page in read(path).pages)
    except CorruptDocument as error:
        return str(error)


def test_bombs_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.docx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", bytes(60_000_000))
    assert path.stat().st_size < 100_000
    with pytest.raises(CorruptDocument, match=r"expands to 60,000,000 bytes.*refused"):
        read(path)


def test_the_limit_of_expansion(tmp_path: Path) -> None:
    path = docx_file(tmp_path / "a.docx")
    check_archive(path, "a.docx", "word/document.xml")
    with pytest.raises(CorruptDocument, match="expands to"):
        check_archive(path, "a.docx", "word/document.xml", largest=1000)


def test_an_encrypted_zip(tmp_path: Path) -> None:
    path = docx_file(tmp_path / "a.docx")
    data = bytearray(path.read_bytes())
    at = -1
    while (at := data.find(b"PK\x01\x02", at + 1)) >= 0:
        data[at + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(ProtectedDocument, match="password"):
        read(path)
