"""Chunks are exact spans that lose nothing and fit the embedder."""

from __future__ import annotations

import itertools
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.chunking import Chunker
from ingest.context import LONGEST, cut
from rag.parsed import Block, Page, Parsed
from rag.records import Chunk

TOKEN = re.compile(r"\w{1,6}|[^\w\s]")


def offsets(text: str) -> list[tuple[int, int]]:
    """Six letters, or a mark, are a token."""
    return [match.span() for match in TOKEN.finditer(text)]


def characters(text: str) -> list[tuple[int, int]]:
    """Every character is a token, white space too: its counts do not add up over gaps."""
    return [(i, i + 1) for i in range(len(text))]


def page(*blocks: tuple[str, str, int, str], number: int = 1, label: str = "") -> Page:
    """A page of `(kind, text, level, context)`."""
    text, made = "", []
    for kind, body, level, context in blocks:
        text += "\n\n" if text else ""
        start, text = len(text), text + body
        made.append(Block(start, len(text), kind, level, context))  # type: ignore[arg-type]
    return Page(number, text, tuple(made), label=label)


def heading(text: str, level: int = 1) -> tuple[str, str, int, str]:
    return ("heading", text, level, "")


def paragraph(text: str) -> tuple[str, str, int, str]:
    return ("paragraph", text, 0, "")


def row(text: str, context: str = "") -> tuple[str, str, int, str]:
    return ("row", text, 0, context)


def words(count: int, word: str = "word") -> str:
    return " ".join([word] * count)


def cuts(parsed: Parsed, tokens: int = 20, overlap: int = 0, limit: int = 40) -> list[Chunk]:
    chunks = Chunker(offsets, tokens, overlap, limit).chunks(parsed, "key")
    _check(parsed, chunks, limit, offsets)
    return chunks


def _check(parsed: Parsed, chunks: list[Chunk], limit: int, count: object) -> None:
    pages = {page.number: page for page in parsed.pages}
    covered: dict[int, set[int]] = {number: set() for number in pages}
    for chunk in chunks:
        text = pages[chunk.page].text
        assert text[chunk.start : chunk.end] == chunk.text == chunk.text.strip() != ""
        covered[chunk.page].update(range(chunk.start, chunk.end))
        assert len(count(chunk.embedded_text)) <= limit  # type: ignore[operator]
    assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
    for number, whole in pages.items():
        inside: set[int] = set()
        for block in whole.blocks:
            visible = (i for i in range(block.start, block.end) if not whole.text[i].isspace())
            inside.update(visible)
        assert inside <= covered[number]
        outside = {i for i in range(len(whole.text)) if not whole.text[i].isspace()} - inside
        assert not outside & covered[number]


LETTERS = st.text(st.sampled_from("ab Cé。.!?| \n\t-12🙂\u00a0。"), min_size=1, max_size=80)
KINDS = st.sampled_from(["heading", "paragraph", "list", "row", "code"])


@st.composite
def documents(draw: st.DrawFn) -> Parsed:
    pages = []
    for number in range(1, draw(st.integers(1, 3)) + 1):
        text, blocks = "", []
        for _ in range(draw(st.integers(0, 6))):
            body = draw(LETTERS)
            if draw(st.booleans()):
                body *= draw(st.integers(1, 12))
            if not body.strip():
                continue
            kind = draw(KINDS)
            start, text = len(text), text + body
            context = draw(st.sampled_from(["", "x | y", words(60)])) if kind == "row" else ""
            level = draw(st.integers(1, 6)) if kind == "heading" else 0
            blocks.append(Block(start, len(text), kind, level, context))
            text += draw(st.sampled_from(["", " ", "\n\n", "\n page 7 \n"]))
        pages.append(Page(number, text, tuple(blocks), label=draw(st.sampled_from(["", "Sheet"]))))
    return Parsed(tuple(pages), draw(st.sampled_from(["", "A title", words(80)])))


@settings(max_examples=300, deadline=None)
@given(documents(), st.integers(1, 60), st.integers(0, 20), st.sampled_from([offsets, characters]))
def test_spans_are_exact_and_nothing_is_lost(
    parsed: Parsed, tokens: int, overlap: int, count: object
) -> None:
    limit = 50
    chunker = Chunker(count, tokens, overlap, limit)  # type: ignore[arg-type]
    chunks = chunker.chunks(parsed, "key")
    _check(parsed, chunks, limit, count)
    assert chunker.chunks(parsed, "key") == chunks
    if not overlap:
        spans = [(chunk.page, chunk.start, chunk.end) for chunk in chunks]
        assert spans == sorted(spans)
        assert len({chunk.id for chunk in chunks}) == len(chunks)


def test_ids_depend_on_content_and_span_alone() -> None:
    parsed = Parsed((page(paragraph("one")), page(paragraph("one"), number=2)))
    chunker = Chunker(offsets)
    first, again, other = (
        [c.id for c in chunker.chunks(p, k)]
        for p, k in ((parsed, "k"), (Parsed(parsed.pages, "Title"), "k"), (parsed, "l"))
    )
    assert first == again
    assert not set(first) & set(other)
    assert len(set(first)) == 2
    assert all(re.fullmatch("c_[0-9a-f]{24}", found) for found in first)


def test_headings_begin_chunks_and_stay_with_what_follows() -> None:
    parsed = Parsed(
        (
            page(
                paragraph(words(8)),
                heading("Leave"),
                heading("Carrying over", 2),
                paragraph(words(18)),
                heading("End"),
            ),
        )
    )
    texts = [chunk.text for chunk in cuts(parsed)]
    assert texts[0] == words(8)
    assert texts[1].startswith("Leave\n\nCarrying over\n\nword")
    assert texts[1].endswith(words(18))
    assert texts[-1] == "End"


def test_a_heading_is_not_left_alone_before_a_long_paragraph() -> None:
    sentences = " ".join(f"{words(9)}." for _ in range(9))
    first = cuts(Parsed((page(heading("Title of it"), paragraph(sentences)),)))[0]
    assert first.text.startswith("Title of it\n\nword")


def test_context_is_title_and_path_without_what_the_text_says() -> None:
    parsed = Parsed(
        (
            page(
                heading("Handbook"),
                heading("Leave", 2),
                paragraph(words(15)),
                paragraph(words(15)),
                heading("Pay", 2),
                paragraph(words(15)),
            ),
            page(paragraph("later"), number=2),
        ),
        "Handbook",
    )
    chunks = cuts(parsed)
    assert [chunk.context for chunk in chunks] == [
        "",
        "Handbook > Leave",
        "Handbook",
        "Handbook > Pay",
    ]


def test_markdown_headings_are_named_without_their_marks() -> None:
    parsed = Parsed((page(heading("## Leave ##", 2), *[paragraph(words(18))] * 2),))
    assert cuts(parsed)[1].context == "Leave"


def test_a_labelled_page_begins_a_new_path() -> None:
    slides = (
        page(heading("Costs"), paragraph(words(15)), paragraph(words(15)), label="Costs"),
        page(paragraph("x"), number=2, label="Staff"),
    )
    assert [c.context for c in cuts(Parsed(slides, "Deck"))] == [
        "Deck",
        "Deck > Costs",
        "Deck > Staff",
    ]


def test_rows_keep_their_header() -> None:
    header = "City | Limit"
    rows = [row(f"City{i} | {i} euros", header) for i in range(12)]
    chunks = cuts(Parsed((page(row(header), *rows, label="Hotels"),), "Travel"))
    assert len(chunks) > 2
    assert chunks[0].text.startswith(header)
    assert header not in chunks[0].context
    for chunk in chunks[1:]:
        assert chunk.context == f"Travel > Hotels\n{header}"
        assert all(line.startswith("City") for line in chunk.text.split("\n\n"))


def test_a_wide_header_leaves_room_and_is_cut() -> None:
    header = " | ".join(f"Column{i}" for i in range(60))
    parsed = Parsed((page(*[row(f"{i} | {words(15)}", header) for i in range(4)]),), "T")
    for chunk in Chunker(offsets, 20, 0, 100).chunks(parsed, "k"):
        assert header.startswith(chunk.context.split("\n")[1])
        assert 20 < len(offsets(chunk.context)) <= LONGEST


def test_a_row_is_whole_unless_it_alone_is_too_long() -> None:
    cells = " | ".join(["cell"] * 10)
    parsed = Parsed((page(row(cells), row(words(60)), row(cells)),))
    chunks = cuts(parsed)
    assert chunks[0].text == cells
    assert chunks[-1].text == cells
    assert len(chunks) > 3


def test_a_table_that_fits_is_not_torn_from_its_header() -> None:
    header = "City | Limit"
    table = [row(header), *[row(f"Rome | {i}", header) for i in range(3)]]
    chunks = cuts(Parsed((page(paragraph(words(10)), *table),)))
    assert [chunk.text.split()[0] for chunk in chunks] == ["word", "City"]


def test_rows_of_two_tables_do_not_mix_their_headers() -> None:
    parsed = Parsed((page(row("1 | 2", "a | b"), row("3 | 4", "c | d")),))
    assert [chunk.context for chunk in cuts(parsed)] == ["a | b", "c | d"]


def test_long_paragraphs_are_cut_at_sentences() -> None:
    text = "The fee is 3.5 percent, e.g. for boats. " + " ".join(f"A {words(6)}." for _ in range(6))
    for chunk in cuts(Parsed((page(paragraph(text)),))):
        assert chunk.text.endswith(".")


def test_a_word_without_end_is_cut() -> None:
    chunks = cuts(Parsed((page(paragraph("x" * 5000)),)))
    assert "".join(chunk.text for chunk in chunks) == "x" * 5000


def test_a_token_without_end_does_not_make_a_chunk_without_end() -> None:
    def one(text: str) -> list[tuple[int, int]]:
        return [(0, len(text))] if text.strip() else []

    chunks = Chunker(one, 20).chunks(Parsed((page(paragraph("x" * 5000)),)), "k")
    assert max(len(chunk.text) for chunk in chunks) <= 400
    assert "".join(chunk.text for chunk in chunks) == "x" * 5000


def test_furniture_is_left_out() -> None:
    text = "Body one.\n\nPage 7\n\nBody two."
    parsed = Parsed((Page(1, text, (Block(0, 9), Block(19, 28))),))
    assert [chunk.text for chunk in cuts(parsed)] == ["Body one.", "Body two."]


def test_neighbours_overlap_where_asked() -> None:
    text = " ".join(f"W{i} aa bb cc dd." for i in range(12))
    chunks = cuts(Parsed((page(paragraph(text)),)), overlap=8)
    for one, two in itertools.pairwise(chunks):
        assert one.start < two.start < one.end < two.end


def test_cut_ends_with_a_whole_word() -> None:
    assert cut(offsets, "internationalisation of things", 2) == "internationa"
    assert cut(offsets, "one internationalisation", 2) == "one"
    assert cut(offsets, "one two", 2) == "one two"
    assert cut(offsets, "one two", 0) == ""


@pytest.mark.parametrize("blocks", ["paragraphs", "one paragraph", "rows", "no spaces"])
def test_time_is_linear(blocks: str) -> None:
    def seconds(count: int) -> float:
        made = {
            "paragraphs": lambda: [paragraph(f"{words(30)}.")] * count,
            "one paragraph": lambda: [paragraph(f"{words(30)}. " * count)],
            "rows": lambda: [row("one | two | 3", "a | b | c")] * count,
            "no spaces": lambda: [paragraph("x" * 60 * count)],
        }[blocks]()
        parsed = Parsed((page(*made),))
        begun = time.process_time()
        Chunker(offsets).chunks(parsed, "k")
        return time.process_time() - begun

    seconds(50)
    small, large = min(seconds(300) for _ in range(3)), seconds(2400)
    assert large < 8 * small * 3 + 0.05
