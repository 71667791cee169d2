"""Fusion, and that only what is live and allowed is found."""

from __future__ import annotations

import itertools
import pkgutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, update

from rag.catalog.collections import create_collection
from rag.catalog.documents import remove
from rag.catalog.schema import chunks
from rag.errors import StorageError, TooLarge, UnknownCollection, UsageError
from rag.library import Library
from rag.testing import FakeEmbedding, fake_library
from rag.vectors import VectorIndex, Vectors
from rag.words import WordIndex
from tests.ingest.reading import add_text, read_all


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = fake_library(tmp_path)
    yield library
    library.close()


def test_a_candidate_of_one_half_has_its_score_of_the_other(tmp_path: Path) -> None:
    library = fake_library(tmp_path, retrieval_candidates=2, retrieval_around=0)
    texts = ["ferry ferry ferry timetable", "ferry timetable of May", "the ferry leaves when"]
    texts += ["ferry leaves", "when does the ferry leave " + " ".join(f"w{i}" for i in range(60))]
    for number, text in enumerate(texts):
        add_text(library, f"{number}.txt", text)
    read_all(library)
    near, wordy = library.search("ferry timetable leaves when", None, 2)
    assert (near.source, near.lexical_rank) == ("2.txt", None)
    assert (wordy.source, wordy.dense_rank) == ("0.txt", None)
    # the nearest of all has all of the dense half's weight, and some of that for its words
    assert near.score > library.settings.retrieval_dense_weight + 0.1
    vector = FakeEmbedding().get_query_embedding("ferry timetable leaves when")
    own = FakeEmbedding().get_text_embedding(texts[0])
    cosine = sum(a * b for a, b in zip(vector, own, strict=True))
    assert wordy.similarity == pytest.approx(cosine, abs=1e-3)
    library.close()


@pytest.mark.parametrize("length", [9, 10])
@pytest.mark.parametrize("scope", [None, ["default"]])
def test_a_torn_vector_costs_no_answer(
    library: Library, monkeypatch: pytest.MonkeyPatch, length: int, scope: list[str] | None
) -> None:
    add_text(library, "leave.txt", "Leave is counted in days.")
    add_text(library, "crane.txt", "Cranes lift heavy things.")
    read_all(library)
    (torn,) = [p.chunk_id for p in library.search("leave") if p.source == "leave.txt"]
    with library.catalog.write() as connection:
        cut = func.substr(chunks.c.vector, 1, length)
        connection.execute(update(chunks).where(chunks.c.id == torn).values(vector=cut))
    find = VectorIndex.query

    def without(index: VectorIndex, vector: Vectors, n: int) -> list[tuple[str, float]]:
        return [pair for pair in find(index, vector, n) if pair[0] != torn]

    monkeypatch.setattr(VectorIndex, "query", without)
    found = {p.source: p.similarity for p in library.search("leave in days", scope)}
    assert found["leave.txt"] == 0.0


@pytest.mark.parametrize("asked", ["Pearwood", "Appletree"])
def test_a_document_s_name_counts_for_all_of_it(tmp_path: Path, asked: str) -> None:
    library = fake_library(tmp_path, retrieval_around=0)
    for number, name in enumerate(("Pearwood", "Appletree", "Quincehill")):
        report = "This was told to the board and to the auditor in May. " * 20
        text = f"This is the report of {name}. {report} The sales were {number} million."
        add_text(library, f"{number}.txt", text)
    read_all(library)
    found = library.search(f"How high were the sales of {asked}?", limit=20)
    sales = [p for p in found if "sales" in p.text and asked not in p.text]
    named = next(p for p in found if asked in p.text)
    assert sales[0].source == named.source
    assert len({p.source for p in sales}) == 3
    library.close()


def test_a_word_that_stands_once_is_found_among_much_that_is_alike(library: Library) -> None:
    vector = FakeEmbedding().get_query_embedding
    twin = next(w for n in range(999) if vector(w := f"w{n}") == vector("zq86k8q"))
    filler = "Week pressure seal team pump valve. " * 12
    add_text(library, "rare.txt", f"The valve zq86k8q. {filler}")
    for number in range(60):
        add_text(library, f"{number}.txt", f"{twin}{'!' * number}")
    read_all(library)
    assert "rare.txt" in [p.source for p in library.search("zq86k8q", limit=10)]


def test_a_passage_says_where_it_stands_and_which_half_found_it(library: Library) -> None:
    name = add_text(library, "leave.txt", "Unused leave may be carried over until 31 March.")
    add_text(library, "tea.txt", "Tea is in the kitchen on the second floor.")
    read_all(library)
    best = library.search("carried over leave", limit=2)[0]
    assert (best.document_id, best.source, best.page) == (name, "leave.txt", 1)
    assert (best.dense_rank, best.lexical_rank) == (1, 1)
    assert best.text == "Unused leave may be carried over until 31 March."
    assert 0 < best.score <= 1


def test_a_search_reads_the_catalog_in_few_statements(library: Library) -> None:
    text = " ".join(f"Rule {number} of the ferry says a thing or two." for number in range(90))
    for number in range(30):
        add_text(library, f"{number}.txt", f"Ferry number {number}. {text}")
    read_all(library)
    statements: list[str] = []

    def note(*given: object) -> None:
        statements.append(str(given[2]))

    event.listen(library.catalog._engine, "before_cursor_execute", note)
    found = library.search("ferry number 7")
    assert len(found) == 10
    assert all(p.similarity > 0 for p in found)
    read = [one for one in statements if one.lstrip().startswith("SELECT")]
    # what is live and its vectors, what is near that, and the text of it
    assert len(read) == 3
    assert len(statements) - len(read) == 2  # the beginnings of two transactions


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("rag.testing:FakeEmbedding", "_get_query_embedding"), ("rag.words:WordIndex", "query")),
        (("rag.retrieval", "live_candidates"), ("rag.words:WordIndex", "scores")),
    ],
)
def test_what_needs_nothing_of_the_other_is_done_at_once(
    library: Library,
    monkeypatch: pytest.MonkeyPatch,
    one: tuple[str, str],
    other: tuple[str, str],
) -> None:
    add_text(library, "ferry.txt", "The ferry leaves at 07:40.")
    read_all(library)
    before = library.search("When does the ferry leave?")
    # each goes on when the other has begun as well, and one after the other never would
    both = threading.Barrier(2, timeout=10)
    for place, name in (one, other):
        owner = pkgutil.resolve_name(place)
        monkeypatch.setattr(owner, name, _once_both(getattr(owner, name), both))
    assert library.search("When does the ferry leave?") == before


def _once_both(work: Callable[..., Any], both: threading.Barrier) -> Callable[..., Any]:
    begun = itertools.count()

    def waiting(*arguments: Any) -> Any:
        if next(begun) == 0:
            both.wait()
        return work(*arguments)

    return waiting


def test_a_closed_library_has_no_thread_that_searches(tmp_path: Path) -> None:
    library = fake_library(tmp_path)
    add_text(library, "ferry.txt", "The ferry leaves at 07:40.")
    read_all(library)
    before = set(threading.enumerate())
    assert library.search("When does the ferry leave?")
    searching = {one for one in threading.enumerate() if one.name.startswith("retriever")}
    assert searching
    assert searching.isdisjoint(before)
    library.close()
    assert not any(one.is_alive() for one in searching)


def test_the_same_is_found_where_no_thread_can_begin(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        add_text(
            library, f"{number}.txt", f"Ferry {number} leaves at 0{number}:40. " * (number + 1)
        )
    read_all(library)
    before = library.search("When does ferry 3 leave?")

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(ThreadPoolExecutor, "submit", refuse)
    assert library.search("When does ferry 3 leave?") == before
    assert len(before) == 5


def test_what_the_words_cannot_read_is_told(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_text(library, "ferry.txt", "The ferry leaves at 07:40.")
    read_all(library)

    def broken(*_: object) -> None:
        raise StorageError("The lexical index is torn.")

    monkeypatch.setattr(WordIndex, "query", broken)
    with pytest.raises(StorageError, match="is torn"):
        library.search("When does the ferry leave?")


def test_what_is_removed_is_gone_at_once_before_any_sweep(library: Library) -> None:
    name = add_text(library, "leave.txt", "Unused leave may be carried over.")
    add_text(library, "tea.txt", "Tea is in the kitchen.")
    read_all(library)
    remove(library.catalog, name)
    assert [p.source for p in library.search("leave carried over", limit=5)] == ["tea.txt"]


def test_removed_chunks_do_not_crowd_out_live_ones(library: Library) -> None:
    gone = [add_text(library, f"{n}.txt", f"leave leave leave {n}") for n in range(120)]
    add_text(library, "kept.txt", "A word on leave, kept, among many others about other things.")
    read_all(library)
    for name in gone:
        remove(library.catalog, name)
    assert [p.source for p in library.search("leave", limit=5)] == ["kept.txt"]


def test_only_the_collections_asked_are_searched(library: Library) -> None:
    create_collection(library.catalog, "board")
    add_text(library, "a.txt", "Salaries are secret.", "board")
    add_text(library, "b.txt", "Salaries are paid monthly.")
    read_all(library)
    assert [p.source for p in library.search("salaries", ["board"])] == ["a.txt"]
    assert [p.source for p in library.search("salaries", ["default"])] == ["b.txt"]
    assert len(library.search("salaries")) == 2
    with pytest.raises(UnknownCollection):
        library.search("salaries", ["borad"])


def test_the_same_text_is_shown_once(library: Library) -> None:
    for number in range(3):
        add_text(library, f"{number}.md", f"# Title {number}\n\nTea is in the kitchen.")
    add_text(library, "a.txt", "Tea is in the kitchen.")
    add_text(library, "b.txt", "Tea is   in the\nkitchen.")
    read_all(library)
    texts = [" ".join(p.text.split()) for p in library.search("tea kitchen", limit=10)]
    assert len(texts) == len(set(texts))


@pytest.mark.parametrize(("query", "error"), [("", UsageError), (" \n", UsageError)])
def test_an_empty_query_is_refused(library: Library, query: str, error: type[Exception]) -> None:
    with pytest.raises(error, match="empty"):
        library.search(query)


def test_a_long_query_is_refused_and_an_empty_library_finds_nothing(library: Library) -> None:
    with pytest.raises(TooLarge, match="2,000"):
        library.search("x" * 100_000)
    assert library.search("anything") == []
