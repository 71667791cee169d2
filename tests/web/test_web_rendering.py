"""Cutting a page's text into pieces."""

from __future__ import annotations

from rag.records import Block, Page
from web.rendering import human_bytes, show_page, without_numbers


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


def test_small_words() -> None:
    assert without_numbers("Up to five [1] [12].") == "Up to five."
    assert [human_bytes(n) for n in (0, 999, 1500, 99_900, 200_000_000, 3 * 10**9)] == [
        "0 B", "999 B", "1.5 kB", "100 kB", "200 MB", "3.0 GB",
    ]  # fmt: skip
