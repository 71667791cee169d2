"""What documents hold beside their plain paragraphs: numbers, formulas, charts, comments, spans."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.parsers.grid import filled
from ingest.parsers.pdf_streams import check_streams
from rag.errors import CorruptDocument
from tests.ingest.parsed import blocks, read
from tests.ingest.test_parsers_office import W, docx_file, pptx_file, rewrite, xlsx_file
from tests.ingest.valid import ARTICLE, FEED, NOTEBOOK

_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_M = "http://schemas.openxmlformats.org/officeDocument/2006/math"
COMMENTS = (
    f'<w:comments xmlns:w="{W}"><w:comment w:id="7" w:author="Ada"><w:p><w:r><w:t>Why euros?'
    "</w:t></w:r></w:p></w:comment></w:comments>"
)


def docx(path: Path, body: str) -> list[tuple[str, str]]:
    """The blocks of a Word file with this body."""
    docx_file(path)
    rewrite(
        path,
        "word/document.xml",
        lambda _: (
            f'<w:document xmlns:w="{W}" xmlns:m="{_M}" xmlns:r="{_RELATIONS}"><w:body>{body}'
            "</w:body></w:document>"
        ),
    )
    return blocks(read(path).pages[0])


def _relate(path: Path, part: str, kind: str, target: str) -> None:
    folder, _, name = part.rpartition("/")
    new = f'<Relationship Id="x{kind}" Type="{_RELATIONS}/{kind}" Target="{target}"/>'
    empty = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        "</Relationships>"
    )
    rewrite(
        path,
        f"{folder}/_rels/{name}.rels",
        lambda xml: (xml or empty).replace("</Relationships>", f"{new}</Relationships>"),
    )


def _declared(path: Path, part: str, kind: str) -> None:
    """Say what a part is: python-docx and python-pptx read only such."""
    override = f'<Override PartName="{part}" ContentType="{kind}"/></Types>'
    rewrite(path, "[Content_Types].xml", lambda xml: xml.replace("</Types>", override))


def words(text: str, properties: str = "") -> str:
    return f"<w:p>{properties}<w:r><w:t>{text}</w:t></w:r></w:p>"


def _numbering(*levels: tuple[str, str]) -> str:
    inner = "".join(
        f'<w:lvl w:ilvl="{i}"><w:start w:val="1"/><w:numFmt w:val="{kind}"/>'
        f'<w:lvlText w:val="{text}"/></w:lvl>'
        for i, (kind, text) in enumerate(levels)
    )
    return (
        f'<w:numbering xmlns:w="{W}"><w:abstractNum w:abstractNumId="0">{inner}</w:abstractNum>'
        '<w:num w:numId="5"><w:abstractNumId w:val="0"/></w:num></w:numbering>'
    )


def item(text: str, level: int) -> str:
    return words(
        text,
        f'<w:pPr><w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="5"/></w:numPr></w:pPr>',
    )


def test_word_numbers(tmp_path: Path) -> None:
    path = docx_file(tmp_path / "a.docx")
    body = (
        item("one", 0) + item("deep", 1) + item("deeper", 1) + item("two", 0) + item("again", 1)
        + item("roman", 2) + item("dot", 3)
    )  # fmt: skip
    numbering = _numbering(
        ("decimal", "%1."), ("lowerLetter", "%1.%2)"), ("upperRoman", "%3"), ("bullet", "•")
    )
    rewrite(path, "word/numbering.xml", lambda _: numbering)
    rewrite(
        path,
        "word/document.xml",
        lambda _: f'<w:document xmlns:w="{W}"><w:body>{body}</w:body></w:document>',
    )
    assert blocks(read(path).pages[0]) == [
        ("list", "1. one"),
        ("list", "1.a) deep"),
        ("list", "1.b) deeper"),
        ("list", "2. two"),
        ("list", "2.a) again"),
        ("list", "I roman"),
        ("list", "dot"),
    ]


def test_word_formulas(tmp_path: Path) -> None:
    def run(text: str) -> str:
        return f"<m:r><m:t>{text}</m:t></m:r>"

    power = f"<m:sSup><m:e>{run('b')}</m:e><m:sup>{run('2')}</m:sup></m:sSup>"
    root = f"<m:rad><m:deg/><m:e>{power}{run('-4ac')}</m:e></m:rad>"
    fraction = f"<m:f><m:num>{root}</m:num><m:den>{run('2a')}</m:den></m:f>"
    total = (
        f'<m:nary><m:naryPr><m:chr m:val="∑"/></m:naryPr><m:sub>{run("i=1")}</m:sub>'
        f"<m:sup>{run('n')}</m:sup><m:e>{run('x')}</m:e></m:nary>"
    )
    body = f"<w:p><w:r><w:t>so</w:t></w:r><m:oMath>{run('x=')}{fraction}</m:oMath></w:p>"
    body += f"<w:p><m:oMath>{total}</m:oMath></w:p>"
    assert [text for _, text in docx(tmp_path / "a.docx", body)] == [
        "so x=(√(b^2-4ac))/2a",
        "∑_(i=1)^n x",
    ]


def test_word_merged_cells(tmp_path: Path) -> None:
    def cell(text: str, properties: str) -> str:
        return f"<w:tc><w:tcPr>{properties}</w:tcPr>{words(text)}</w:tc>"

    down, wide = '<w:vMerge w:val="restart"/>', '<w:gridSpan w:val="2"/>'
    body = (
        f"<w:tbl><w:tr>{cell('2025', down)}{cell('Both', wide)}</w:tr>"
        f"<w:tr>{cell('', '<w:vMerge/>')}{cell('1', '')}{cell('2', '')}</w:tr></w:tbl>"
    )
    assert blocks_of_rows(docx(tmp_path / "a.docx", body)) == ["2025 | Both | Both", "2025 | 1 | 2"]


def blocks_of_rows(found: list[tuple[str, str]]) -> list[str]:
    return [text for kind, text in found if kind == "row"]


def test_word_comments(tmp_path: Path) -> None:
    path = docx_file(tmp_path / "a.docx")
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.comments+xml"
    _declared(path, "/word/comments.xml", kind)
    rewrite(path, "word/comments.xml", lambda _: COMMENTS)
    _relate(path, "word/document.xml", "comments", "comments.xml")
    rewrite(
        path,
        "word/document.xml",
        lambda xml: xml.replace("in euros.</w:t>", 'in euros.</w:t><w:commentReference w:id="7"/>'),
    )
    texts = [text for _, text in blocks(read(path).pages[0])]
    assert texts[2:4] == ["The prices are in euros.", "Comment by Ada: Why euros?"]


@pytest.mark.parametrize("make", [docx_file, xlsx_file, pptx_file])
def test_the_strict_form(make: Callable[[Path], Path], tmp_path: Path) -> None:
    suffix = make.__name__.removesuffix("_file")
    path = make(tmp_path / f"a.{suffix}")
    expected = blocks(read(path).pages[0])
    strict = tmp_path / f"b.{suffix}"
    loose = b"http://schemas.openxmlformats.org/"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(strict, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            for kind in (b"wordprocessingml", b"spreadsheetml", b"presentationml", b"drawingml"):
                data = data.replace(loose + kind + b"/2006", b"http://purl.oclc.org/ooxml/" + kind)
            data = data.replace(
                loose + b"officeDocument/2006/relationships",
                b"http://purl.oclc.org/ooxml/officeDocument/relationships",
            )
            new.writestr(name, data)
    assert blocks(read(strict).pages[0]) == expected


def test_slides_charts_spans_and_descriptions(tmp_path: Path) -> None:
    import pptx
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE
    from pptx.util import Inches

    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    data = CategoryChartData()
    data.categories = ["2023", "2024"]
    data.add_series("Ducks", (120, 130.5))
    size = (Inches(1), Inches(3), Inches(4), Inches(2))
    chart = slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *size, data).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = "Birds seen"
    table = slide.shapes.add_table(2, 3, 0, 0, Inches(4), Inches(1)).table
    for i, text in enumerate(("Both", "", "C", "1", "2", "3")):
        table.cell(i // 3, i % 3).text = text
    table.cell(0, 0).merge(table.cell(0, 1))
    box = slide.shapes.add_textbox(0, Inches(6), Inches(2), Inches(1))
    box._element.nvSpPr.cNvPr.set("descr", "not shown, as it has a text")
    box.text_frame.text = "below"
    deck.save(str(tmp_path / "a.pptx"))
    assert blocks(read(tmp_path / "a.pptx").pages[0]) == [
        ("row", "Both | Both | C"),
        ("row", "1 | 2 | 3"),
        ("paragraph", "Birds seen"),
        ("row", "| Ducks"),
        ("row", "2023 | 120"),
        ("row", "2024 | 130.5"),
        ("paragraph", "below"),
    ]


def test_sheets_of_charts_and_comments(tmp_path: Path) -> None:
    import openpyxl
    from openpyxl.chart import BarChart, Reference
    from openpyxl.comments import Comment

    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Birds"
    for row in (("Year", "Ducks"), (2023, 120), (2024, 130)):
        sheet.append(row)
    sheet["B2"].comment = Comment("Counted twice.", "Ada")
    chart = BarChart()
    chart.title = "Birds seen"
    chart.add_data(Reference(sheet, min_col=2, min_row=1, max_row=3), titles_from_data=True)
    alone = book.create_chartsheet("Chart")
    alone.add_chart(chart)
    book.save(tmp_path / "a.xlsx")
    parsed = read(tmp_path / "a.xlsx")
    assert [page.label for page in parsed.pages] == ["Birds", "Chart"]
    assert ("paragraph", "Comment by Ada on B2: Counted twice.") in blocks(parsed.pages[0])
    assert blocks(parsed.pages[1]) == [("paragraph", "Birds seen")]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<ol start=4><li>a<li><p>b</p></ol><ul><li>c</ul>", ["4. a", "5. b", "c"]),
        ("<ol type=a><li>x</ol><ol reversed><li>y</ol>", ["x", "y"]),
        ("<p>See <img src=x alt='the plan'> <img alt='IMG_1.png'></p>", ["See the plan"]),
        (
            "<table><tr><th rowspan=2>A<th colspan=2>B<tr><td>1<td>2</table>",
            ["A | B | B", "A | 1 | 2"],
        ),
        ("<table><tr><td>a<td><table><tr><td>b<td>c</table></table>", ["a | b c"]),
        ("<pre>one<br>two</pre>", ["one\ntwo"]),
    ],
)
def test_html(html: str, expected: list[str], tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text(html)
    assert [text for _, text in blocks(read(path).pages[0])] == expected


def test_an_article(tmp_path: Path) -> None:
    path = tmp_path / "a.nxml"
    path.write_text(ARTICLE)
    parsed = read(path)
    assert parsed.title == "Pumps at sea"
    assert blocks(parsed.pages[0]) == [
        ("heading", "Pumps at sea"),
        ("paragraph", "Ada Ray"),
        ("heading", "Abstract"),
        ("paragraph", "Short."),
        ("heading", "Methods"),
        ("paragraph", "We pumped x litres."),
        ("paragraph", "Table 1 Flow."),
        ("row", "a | b"),
        ("row", "1 | 2"),
        ("row", "1 | 3"),
        ("heading", "References"),
        ("list", "Ray 2020, Pumps."),
    ]


def test_a_feed_and_other_xml(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(FEED)
    assert blocks(read(path).pages[0]) == [
        ("heading", "News"),
        ("heading", "First"),
        ("paragraph", "Mon, 1 Jan 2024"),
        ("paragraph", "Some words."),
    ]
    path.write_text("<article><note>no JATS</note></article>")
    assert blocks(read(path).pages[0]) == [("code", "<article><note>no JATS</note></article>")]


def test_a_notebook(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(NOTEBOOK))
    assert blocks(read(path).pages[0]) == [
        ("heading", "Flow"),
        ("paragraph", "Some *words*."),
        ("code", "print(1)"),
        ("code", "1"),
    ]
    path.write_text("{}")
    with pytest.raises(CorruptDocument, match="not a Jupyter notebook"):
        read(path)


def test_spans_are_bounded() -> None:
    assert filled([[("a", "2", "2"), ("b", None, None)], [("c", None, None)]]) == [
        ["a", "a", "b"],
        ["a", "a", "c"],
    ]
    assert filled([[("title", "9", None)], [("a", None, None), ("b", None, None)]]) == [
        ["title"],
        ["a", "b"],
    ]
    huge = filled([[("x" * 1000, "1000", "65000")] * 2] * 100)
    assert sum(len(cell) for row in huge for cell in row) < 500_000


def test_a_pdf_of_ordinary_streams_is_not_refused(tmp_path: Path) -> None:
    from tests.ingest.bombs import _content, _wrapped, deflated

    path = tmp_path / "a.pdf"
    _content(path, b"/FlateDecode", _wrapped(deflated(7_000_000)))
    check_streams(path, "a.pdf")
    _content(path, b"/FlateDecode", _wrapped(deflated(9_000_000)))
    with pytest.raises(CorruptDocument, match="expand to more than"):
        check_streams(path, "a.pdf")
