"""PDFs: text, blocks and the place of every word."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ingest.parsers.pdf_lines import _ALEF_LAM, _in_order, _Measure, _word_spans
from rag.errors import CorruptDocument, EmptyDocument, ProtectedDocument
from tests.ingest.parsed import blocks, outside, read, text

WIDTH, HEIGHT = 600.0, 800.0


def draw(path: Path, *pages: list[tuple[Any, ...]], **options: Any) -> Path:
    """A PDF; a line is `(x, y from the top, text)` and perhaps its size and font."""
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(path), pagesize=(WIDTH, HEIGHT), **options)
    for page in pages:
        for x, y, line, *style in page:
            size, font = (
                (*style, 10, "Helvetica")[:2] if len(style) != 1 else (style[0], "Helvetica")
            )
            canvas.setFont(font, size)
            canvas.drawString(x, HEIGHT - y, line)
        canvas.showPage()
    canvas.save()
    return path


def lines(*texts: str, x: float = 60, y: float = 100, step: float = 12) -> list[tuple[Any, ...]]:
    return [(x, y + step * i, line) for i, line in enumerate(texts)]


def test_paragraphs_are_joined_and_kept_apart(tmp_path: Path) -> None:
    page = [
        *lines("The first paragraph is long enough to wrap", "over two lines of the page."),
        *lines("The second stands after a gap and is", "as long as that too.", y=150),
    ]
    parsed = read(draw(tmp_path / "a.pdf", page))
    assert blocks(parsed.pages[0]) == [
        ("paragraph", "The first paragraph is long enough to wrap over two lines of the page."),
        ("paragraph", "The second stands after a gap and is as long as that too."),
    ]
    assert (parsed.pages[0].width, parsed.pages[0].height) == (WIDTH, HEIGHT)


def test_a_footnote_goes_on_in_its_next_line(tmp_path: Path) -> None:
    page = [
        *lines("A member buys one share, which is paid back at the end.", "It bears no interest."),
        (45, 503, "1", 6),
        (51, 507, "If the accounts show a loss, the repayment is reduced, but never by more", 7.5),
        (45, 516, "than one third of the share.", 7.5),
        (45, 524, "2", 6),
        (51, 528, "Paid in March.", 7.5),
        (45, 537, "3 Paid in May.", 7.5),
    ]
    assert [text for _, text in blocks(read(draw(tmp_path / "a.pdf", page)).pages[0])][1:] == [
        "1 If the accounts show a loss, the repayment is reduced, but never by more "
        "than one third of the share.",
        "2 Paid in March.",
        "3 Paid in May.",
    ]


def test_each_word_has_its_place(tmp_path: Path) -> None:
    page = read(draw(tmp_path / "a.pdf", [(60, 100, "Alpha beta"), (300, 700, "Omega")])).pages[0]
    found = {page.text[p.start : p.end]: p.box for p in page.places}
    assert list(found) == ["Alpha", "beta", "Omega"]
    x0, y0, x1, y1 = found["Omega"]
    assert x0 == pytest.approx(300 / WIDTH, abs=0.003)
    assert y0 < 700 / HEIGHT < y1 + 0.001
    assert y1 - y0 < 0.03
    assert found["Alpha"][2] < found["beta"][0]
    assert x1 < 340 / WIDTH


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_places_follow_a_turned_page(tmp_path: Path, turn: int) -> None:
    import pypdfium2

    plain = draw(tmp_path / "a.pdf", [(60, 100, "Alpha beta")])
    document = pypdfium2.PdfDocument(plain)
    document[0].set_rotation(turn)
    document.save(str(tmp_path / "b.pdf"))
    document.close()
    (x0, y0, x1, y1) = read(plain).pages[0].places[0].box
    page = read(tmp_path / "b.pdf").pages[0]
    expected = {
        90: (1 - y1, x0, 1 - y0, x1),
        180: (1 - x1, 1 - y1, 1 - x0, 1 - y0),
        270: (y0, 1 - x1, y1, 1 - x0),
    }[turn]
    assert page.places[0].box == pytest.approx(expected, abs=0.001)
    assert (page.width, page.height) == ((WIDTH, HEIGHT) if turn == 180 else (HEIGHT, WIDTH))


def test_places_follow_the_crop_box(tmp_path: Path) -> None:
    import pypdfium2

    document = pypdfium2.PdfDocument(draw(tmp_path / "a.pdf", [(300, 400, "Alpha")]))
    document[0].set_cropbox(300, 300, 500, 500)
    document.save(str(tmp_path / "b.pdf"))
    document.close()
    page = read(tmp_path / "b.pdf").pages[0]
    x0, y0, _, y1 = page.places[0].box
    assert (page.width, page.height) == (200, 200)
    assert x0 == pytest.approx(0, abs=0.01)
    assert y0 < 0.5 < y1 + 0.001


def test_words_cut_at_line_ends_are_joined(tmp_path: Path) -> None:
    page = lines(
        "They need more infor-", "mation on the well-known", "cost of a well-", "known pump."
    )
    parsed = read(draw(tmp_path / "a.pdf", page)).pages[0]
    assert " ".join(parsed.text.split()) == (
        "They need more information on the well-known cost of a well-known pump."
    )
    words = [parsed.text[p.start : p.end] for p in parsed.places]
    assert words[3:5] == ["infor", "mation"]
    assert parsed.places[3].box[1] < parsed.places[4].box[1]


def test_ligatures_are_letters(tmp_path: Path) -> None:
    from ingest.parsers.pdf_lines import _TYPED

    assert "e\ufb03cient o\ufb00er".translate(_TYPED) == "efficient offer"


def test_headings_by_size_and_weight(tmp_path: Path) -> None:
    page = [
        (60, 80, "Travel policy", 20),
        (60, 120, "Hotels", 14),
        *lines("The limit is 145 euros per night. It includes", "breakfast everywhere.", y=150),
        (60, 200, "Trains", 10, "Helvetica-Bold"),
        *lines("Second class is the rule for all journeys", "below four hours.", y=220),
    ]
    parsed = read(draw(tmp_path / "a.pdf", page))
    found = [(text(parsed.pages[0], b), b.level) for b in parsed.pages[0].blocks if b.level]
    assert found == [("Travel policy", 1), ("Hotels", 2), ("Trains", 3)]
    assert parsed.title == "Travel policy"


def test_table_lines_are_rows_with_their_header(tmp_path: Path) -> None:
    cells = [("City", "Limit"), ("Paris", "190 euros"), ("Oslo", "180 euros")]
    page = [(60, 100 + 15 * i, left) for i, (left, _) in enumerate(cells)]
    page += [(250, 100 + 15 * i, right) for i, (_, right) in enumerate(cells)]
    page.sort(key=lambda line: line[1])
    parsed = read(draw(tmp_path / "a.pdf", page)).pages[0]
    assert blocks(parsed) == [
        ("row", "City | Limit"),
        ("row", "Paris | 190 euros"),
        ("row", "Oslo | 180 euros"),
    ]
    assert [block.context for block in parsed.blocks] == ["", "City | Limit", "City | Limit"]
    words = [parsed.text[place.start : place.end] for place in parsed.places]
    assert words == "City Limit Paris 190 euros Oslo 180 euros".split()


def test_a_wide_gap_in_a_line_of_its_own_ends_no_cell(tmp_path: Path) -> None:
    page = [
        *lines("The works council met on Monday and", "decided nothing at all.", y=80),
        (60, 140, "Kilbrannagh"),
        (250, 140, "4 March 2025"),
        *lines("The next meeting is in the canteen of", "the works at noon.", y=180),
    ]
    found = read(draw(tmp_path / "a.pdf", page)).pages[0]
    assert ("row", "Kilbrannagh 4 March 2025") in blocks(found)
    assert "|" not in found.text


def test_cells_of_several_lines_are_one_row(tmp_path: Path) -> None:
    page = [
        *lines("Hotel in a", "large city", x=60, y=100),
        *lines("up to 190 euros", "with breakfast", x=200, y=100),
        *lines("Train", x=60, y=140),
        *lines("second class", "or first above", x=200, y=140),
    ]
    assert blocks(read(draw(tmp_path / "a.pdf", page)).pages[0]) == [
        ("row", "Hotel in a large city | up to 190 euros with breakfast"),
        ("row", "Train | second class or first above"),
    ]


def test_a_wrapped_cell_is_not_taken_for_the_last_one_of_its_row(tmp_path: Path) -> None:
    page = [
        *[(x, 100, text) for x, text in ((60, "Kind"), (200, "Limit"), (400, "Form"))],
        *[(x, 115, text) for x, text in ((60, "Hotel"), (200, "up to 190"), (400, "yes"))],
        (200, 125, "with breakfast"),
    ]
    found = blocks(read(draw(tmp_path / "a.pdf", page)).pages[0])
    assert ("row", "Hotel | up to 190 | yes | with breakfast") in found


def test_a_sentence_between_two_tables_ends_the_first_one_s_header(tmp_path: Path) -> None:
    page = []
    for top, rows in ((100, ("City|Limit", "Paris|190 euros")), (180, ("Train|Class", "Local|2"))):
        for i, row in enumerate(rows):
            page += [
                (x, top + 15 * i, cell) for x, cell in zip((60, 250), row.split("|"), strict=True)
            ]
    page.insert(4, (60, 150, "The classes in which people may travel are these:"))
    parsed = read(draw(tmp_path / "a.pdf", page)).pages[0]
    contexts = {text(parsed, b): b.context for b in parsed.blocks}
    assert contexts["Paris | 190 euros"] == "City | Limit"
    assert contexts["Local | 2"] == "Train | Class"


def test_a_letterhead_and_a_signature_are_no_table(tmp_path: Path) -> None:
    page = [
        *[(x, 60, text) for x, text in ((60, "Acme Pumps"), (260, "12 Mill Lane"))],
        *[(x, 75, text) for x, text in ((60, "Tel. 0123"), (330, "Fax 0124"))],
        *lines("We thank you for your order of the pump", "and deliver it in May.", y=120),
        *[(x, 700, text) for x, text in ((60, "Leeds"), (260, "Ada Cole"))],
    ]
    assert "|" not in read(draw(tmp_path / "a.pdf", page)).pages[0].text


def test_columns_of_a_page_stay_apart(tmp_path: Path) -> None:
    left = lines(*[f"Left column line {i} of the text" for i in range(20)], x=50)
    right = lines(*[f"Right column line {i} of the text" for i in range(20)], x=320)
    page = read(draw(tmp_path / "a.pdf", [*left, *right])).pages[0]
    assert page.text.index("Left column line 19") < page.text.index("Right column line 0")
    assert len(page.blocks) == 2


def test_bullets_are_list_items(tmp_path: Path) -> None:
    page = lines("• First point of the list", "• Second point of the list", "continued here")
    found = blocks(read(draw(tmp_path / "a.pdf", page)).pages[0])
    assert [kind for kind, _ in found] == ["list", "list"]
    assert found[1][1].split("\n") in (
        ["• Second point of the list continued here"],
        ["• Second point of the list", "continued here"],
    )


def test_running_headers_and_page_numbers_are_in_no_block(tmp_path: Path) -> None:
    def made(n: int) -> list[tuple[Any, ...]]:
        body = lines(f"Body of page {n} says {n * 7}.")
        return [(60, 30, "Northwind internal"), *body, (300, 780, f"Page {n}")]

    pages = [made(n) for n in range(1, 7)]
    parsed = read(draw(tmp_path / "a.pdf", *pages))
    for page in parsed.pages:
        assert "Northwind internal" in page.text
        assert outside(page) == f"Northwind internal Page {page.number}"
        assert [kind for kind, _ in blocks(page)] == ["paragraph"]


def test_a_single_page_has_no_furniture(tmp_path: Path) -> None:
    parsed = read(draw(tmp_path / "a.pdf", [(60, 30, "Top line"), (60, 780, "Bottom line")]))
    assert outside(parsed.pages[0]) == ""


def test_pages_without_text_are_kept(tmp_path: Path) -> None:
    parsed = read(draw(tmp_path / "a.pdf", lines("one"), [], lines("three")))
    assert [page.text for page in parsed.pages] == ["one", "", "three"]


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Annual report", "Annual report"),
        ("untitled", "Big heading"),
        ("Microsoft Word - draft.doc", "Big heading"),
        ("report_final.pdf", "Big heading"),
        ("0000320193-22-000070", "Big heading"),
        ("Document retention policy", "Document retention policy"),
    ],
)
def test_title(tmp_path: Path, title: str, expected: str) -> None:
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(tmp_path / "a.pdf"))
    canvas.setTitle(title)
    canvas.setFont("Helvetica", 20)
    canvas.drawString(50, 700, "Big heading")
    canvas.setFont("Helvetica", 10)
    canvas.drawString(50, 600, "A body that is longer than the heading is.")
    canvas.save()
    assert read(tmp_path / "a.pdf").title == expected


def test_a_password_is_needed(tmp_path: Path) -> None:
    from reportlab.lib.pdfencrypt import StandardEncryption

    locked = StandardEncryption("secret", "owner", strength=128)
    path = draw(tmp_path / "locked.pdf", lines("hidden"), encrypt=locked)
    with pytest.raises(ProtectedDocument, match=r"“locked\.pdf” is locked with a password"):
        read(path)


def test_an_owner_password_alone_locks_nothing(tmp_path: Path) -> None:
    from reportlab.lib.pdfencrypt import StandardEncryption

    path = draw(tmp_path / "a.pdf", lines("open"), encrypt=StandardEncryption("", "owner"))
    assert read(path).pages[0].text == "open"


def test_damaged(tmp_path: Path) -> None:
    path = tmp_path / "broken.pdf"
    path.write_bytes(b"%PDF-1.7\nnothing of the kind")
    with pytest.raises(CorruptDocument, match=r"“broken\.pdf” is damaged"):
        read(path)


def test_a_page_that_cannot_be_read_is_noted(tmp_path: Path) -> None:
    path = draw(tmp_path / "a.pdf", *(lines(f"page {n}") for n in range(4)), pageCompression=0)
    assert read(path).unread == ()
    data = path.read_bytes()
    third = [found.start() for found in re.finditer(rb"/Type /Page\b", data)][2]
    path.write_bytes(data[:third] + b"/Type /Pagx" + data[third + 11 :])
    parsed = read(path)
    assert [page.text for page in parsed.pages] == ["page 0", "page 1", "", "page 3"]
    assert parsed.unread == (3,)


def test_no_pages(tmp_path: Path) -> None:
    path = tmp_path / "none.pdf"
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 0>>"]
    data, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj%b endobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    end = b"xref\n0 3\n0000000000 65535 f \n%btrailer<</Size 3/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF"
    path.write_bytes(data + end % (table, len(data)))
    with pytest.raises(EmptyDocument, match="without pages"):
        read(path)


def test_a_scan(tmp_path: Path) -> None:
    with pytest.raises(EmptyDocument, match="3 pages but no text, nor did OCR find any"):
        read(draw(tmp_path / "scan.pdf", [], [], []))


def test_words_end_where_the_direction_of_writing_changes() -> None:
    text = "R وPython من 12كم x\u05d0 abc"
    words = [text[start:end] for start, end in _word_spans(text, 0, len(text))]
    assert words == ["R", "و", "Python", "من", "12كم", "x", "\u05d0", "abc"]


def test_one_glyph_for_two_arabic_letters_is_read_in_its_order() -> None:
    class Boxes(_Measure):
        def __init__(self, *boxes: float) -> None:
            self.boxes = boxes

        def box(self, first: int, last: int) -> tuple[float, float, float, float]:
            return (self.boxes[first], 0.0, self.boxes[last] + 1, 1.0)

    text = "\u0625\u0644"
    (found,) = _ALEF_LAM.finditer(text)
    assert _in_order(found, range(2), Boxes(5.0, 5.0)) == "\u0644\u0625"
    assert _in_order(found, range(2), Boxes(5.0, 4.0)) == text
