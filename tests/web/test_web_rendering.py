"""Cutting a page's text into pieces."""

from __future__ import annotations

from rag.parsed import Block, Page
from web.rendering import Shown, by_page, human_bytes, show_page


def rows_of(*lines: str, context: str = "") -> Page:
    """A page of row blocks, the first of them the header of the others."""
    blocks, at = [], 0
    for line in lines:
        blocks.append(Block(at, at + len(line), "row", 0, context if blocks else ""))
        at += len(line) + 1
    return Page(1, "\n".join(lines), tuple(blocks))


def texts(shown: Shown) -> list[list[str]]:
    return [["".join(piece.text for piece in cell) for cell in row.cells] for row in shown.rows]


def test_a_mark_may_cross_blocks_and_begins_once() -> None:
    page = Page(1, "One 🌿 two\nthree four", (Block(0, 9), Block(10, 20)))
    shown = show_page(page, 4, 15)
    marked = [piece for block in shown for piece in block.pieces if piece.marked]
    assert [piece.text for piece in marked] == ["🌿 two", "three"]
    assert [piece.first for piece in marked] == [True, False]


def test_no_text_is_lost_between_blocks() -> None:
    page = Page(1, "loose\nblock\nend", (Block(6, 11),))
    assert [b.pieces[0].text for b in show_page(page)] == ["loose", "block", "end"]
    assert show_page(Page(1, "  ")) == []


def test_a_span_outside_the_text_marks_nothing() -> None:
    assert not any(p.marked for b in show_page(Page(1, "abc"), 5, 9) for p in b.pieces)


def test_rows_are_a_table_under_its_header() -> None:
    page = rows_of("Item | Price", "Pump 🌿 | 12", "Seal | | note", "| 7", "Sum", context="Item")
    (table,) = show_page(page)
    assert table.kind == "table"
    assert texts(table) == [
        ["Item", "Price"], ["Pump 🌿", "12"], ["Seal", "", "note"], ["", "7"], ["Sum"],
    ]  # fmt: skip
    assert [row.header for row in table.rows] == [True, False, False, False, False]


def test_rows_of_markdown_are_a_table_without_its_rule() -> None:
    page = rows_of("| What | Kept |\n|:---|---:|", "| Mail \\| post | 7 days |", context="What")
    (table,) = show_page(page)
    assert texts(table) == [["What", "Kept"], ["Mail \\| post", "7 days"]]


def test_another_header_begins_another_table() -> None:
    first, second = "A | B\n1 | 2", "C | D\n3 | 4"
    text = f"{first}\n{second}"
    spans = [(0, 5, ""), (6, 11, "A"), (12, 17, ""), (18, 23, "C")]
    blocks = tuple(Block(a, b, "row", 0, context) for a, b, context in spans)
    tables = show_page(Page(1, text, blocks))
    assert [texts(table) for table in tables] == [
        [["A", "B"], ["1", "2"]], [["C", "D"], ["3", "4"]],
    ]  # fmt: skip
    assert all(table.rows[0].header for table in tables)


def test_a_mark_may_cross_cells_and_begins_once() -> None:
    page = rows_of("Item | Price", "Pump | 12", "Seal | 3", context="Item")
    start = page.text.index("mp |")
    (table,) = show_page(page, start, page.text.index("eal"))
    marked = [p for row in table.rows for cell in row.cells for p in cell if p.marked]
    assert [(piece.text, piece.first) for piece in marked] == [
        ("mp", True), ("12", False), ("S", False),
    ]  # fmt: skip


def test_rows_that_nothing_separates_stay_lines() -> None:
    page = rows_of("Pump 12", "Seal 3")
    assert [(s.kind, s.pieces[0].text) for s in show_page(page)] == [
        ("row", "Pump 12"), ("row", "Seal 3"),
    ]  # fmt: skip


def test_passages_by_document_and_page() -> None:
    def passage(document: str, page: int, text: str) -> dict[str, object]:
        return {"document_id": document, "title": f"T{document}", "source": "s", "page": page,
                "text": text}  # fmt: skip

    found = [passage("a", 9, "best"), passage("b", 1, "x"), passage("a", 2, "y"),
             passage("a", 9, "worse")]  # fmt: skip
    read = by_page(found)
    assert [(r.title, [(p["page"], p["text"]) for p in r.pages]) for r in read] == [
        ("Ta", [(9, "best"), (2, "y")]),
        ("Tb", [(1, "x")]),
    ]


def test_small_words() -> None:
    assert [human_bytes(n) for n in (0, 999, 1500, 99_900, 200_000_000, 3 * 10**9)] == [
        "0 B", "999 B", "1.5 kB", "100 kB", "200 MB", "3.0 GB",
    ]  # fmt: skip
