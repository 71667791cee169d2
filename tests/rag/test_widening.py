"""A passage is a found chunk with whole sentences around it, exactly as its page has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rag.catalog.index_rows import index_ids
from rag.catalog.pages import read_page
from rag.catalog.passages import live_passages
from rag.library import Library
from rag.records import Passage
from rag.sentences import sentence_spans
from rag.testing import fake_library
from rag.widening import widened
from tests.ingest.reading import add_text, read_all

LEAVE = " ".join(f"Sentence {n} of the rules on leave says a thing or two." for n in range(40))


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = fake_library(tmp_path, chunk_tokens=40)
    yield library
    library.close()


def chunks(library: Library) -> list[Passage]:
    """Every chunk as a passage, in the order of the pages."""
    ids = index_ids(library.catalog, library.embedder.fingerprint)
    return sorted(live_passages(library.catalog, ids).values(), key=lambda p: (p.source, p.start))


def test_whole_sentences_around_a_chunk_come_with_it(library: Library) -> None:
    name = add_text(library, "leave.txt", LEAVE)
    read_all(library)
    page = read_page(library.catalog, name, 1)
    borders = sentence_spans(page.text)
    starts, ends = {start for start, _ in borders}, {end for _, end in borders}
    for chunk in chunks(library):
        [wide] = widened(library.catalog, [chunk], 130, 5)
        assert page.text[wide.start : wide.end] == wide.text
        assert wide.start in starts
        assert wide.end in ends
        assert chunk.start - 130 <= wide.start <= chunk.start
        assert chunk.end <= wide.end <= chunk.end + 130
        # two sentences of 50 characters fit before and after, wherever there are any
        assert wide.start < chunk.start - 60 or wide.start == 0
        assert wide.end > chunk.end + 60 or wide.end == len(page.text)


def test_several_chunks_away_is_reached_and_nothing_beyond(library: Library) -> None:
    add_text(library, "leave.txt", LEAVE)
    read_all(library)
    middle = chunks(library)[6]
    [wide] = widened(library.catalog, [middle], 600, 5)
    assert 1000 < len(wide.text) - len(middle.text) <= 1200


def test_nothing_around_is_the_chunk_itself(library: Library) -> None:
    add_text(library, "leave.txt", LEAVE)
    read_all(library)
    found = chunks(library)
    assert widened(library.catalog, found, 0, 3) == found[:3]


def test_another_section_stays_out(library: Library) -> None:
    parts = [f"## Part {n}\n\n{LEAVE[:400]}" for n in range(3)]
    add_text(library, "rules.md", "# Rules\n\n" + "\n\n".join(parts))
    read_all(library)
    inner = [c for c in chunks(library) if c.context.endswith("Part 1")]
    assert inner
    for chunk in inner:
        [wide] = widened(library.catalog, [chunk], 2000, 5)
        assert wide.text.startswith("## Part 1")
        assert "Part 2" not in wide.text


def test_a_chunk_within_a_better_passage_is_no_passage_of_its_own(library: Library) -> None:
    add_text(library, "leave.txt", LEAVE)
    add_text(library, "tea.txt", LEAVE)
    read_all(library)
    first, second, third, *_ = (c for c in chunks(library) if c.source == "leave.txt")
    better = replace(second, score=0.9)
    wide = widened(library.catalog, [better, first, third], 3000, 5)
    assert [(p.chunk_id, p.score) for p in wide] == [(second.chunk_id, 0.9)]
    assert len(widened(library.catalog, [better, first, third], 10, 5)) == 3


def test_a_page_that_went_meanwhile_leaves_the_chunk_as_it_was(library: Library) -> None:
    add_text(library, "leave.txt", LEAVE)
    read_all(library)
    gone = replace(chunks(library)[0], chunk_id="c_gone")
    assert widened(library.catalog, [gone], 300, 5) == [gone]


def test_a_search_gives_passages_that_wide(tmp_path: Path) -> None:
    library = fake_library(tmp_path / "wide", chunk_tokens=40, retrieval_around=200)
    name = add_text(library, "leave.txt", LEAVE)
    read_all(library)
    found = library.search("Sentence 20 of the rules", limit=3)
    text = read_page(library.catalog, name, 1).text
    assert all(text[p.start : p.end] == p.text and len(p.text) > 400 for p in found)
    library.close()


@pytest.mark.parametrize("characters", [40, 130, 300, 600])
def test_a_passage_ends_where_the_last_sentence_ends_that_is_near_enough(
    library: Library, characters: int
) -> None:
    name = add_text(library, "leave.txt", LEAVE)
    read_all(library)
    page = read_page(library.catalog, name, 1)
    borders = sentence_spans(page.text)
    found = chunks(library)
    for chunk in found:
        [wide] = widened(library.catalog, [chunk], characters, 1)
        ends = [end for _, end in borders if chunk.end <= end <= chunk.end + characters]
        starts = [start for start, _ in borders if chunk.start - characters <= start <= chunk.start]
        assert wide.end == max(ends, default=chunk.end)
        assert wide.start == min(starts, default=chunk.start)
        assert wide.text == page.text[wide.start : wide.end]


def test_those_behind_the_first_few_come_up_where_these_hold_one_another(library: Library) -> None:
    add_text(library, "leave.txt", LEAVE)
    read_all(library)
    found = chunks(library)
    near, far = found[:4], found[-1]
    kept = widened(library.catalog, [*near, far], 600, 2)
    assert [passage.chunk_id for passage in kept] == [near[0].chunk_id, far.chunk_id]
