"""The queue is read to its end, failures stay alone, nothing removed is left on disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from ingest.uploads import clean_name
from ingest.worker import Worker
from rag.catalog.documents import get_document, remove
from rag.catalog.pages import page_numbers, read_page
from rag.catalog.queue import claim
from rag.embedding import Vectors
from rag.errors import Busy, EmptyDocument, StorageError, TooLarge, UnknownCollection, UsageError
from rag.library import Library
from rag.originals import original_path
from rag.testing import fake_library
from tests.ingest.reading import add_text, read_all


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = fake_library(tmp_path / "home")
    yield library
    library.close()


def test_every_chunk_is_its_page_s_text(library: Library) -> None:
    text = "\n\n".join(f"## Part {n}\n\n" + f"Sentence {n} says little. " * 30 for n in range(8))
    name = add_text(library, "a.md", text)
    read_all(library)
    document = get_document(library.catalog, name)
    assert (document.state, document.pages) == ("live", 1)
    assert document.chunks > 5
    for passage in library.search("sentence says", limit=100):
        page = read_page(library.catalog, name, passage.page)
        assert page.text[passage.start : passage.end] == passage.text
    assert page_numbers(library.catalog, name) == [(1, "")]


def test_a_bad_file_fails_alone_with_its_reason(library: Library) -> None:
    bad = add_text(library, "bad.docx", b"PK\x03\x04 broken")
    good = add_text(library, "good.txt", "About giraffes.")
    read_all(library)
    assert get_document(library.catalog, good).state == "live"
    failed = get_document(library.catalog, bad)
    assert (failed.state, failed.error_code) == ("failed", "corrupt-document")
    assert failed.error


def test_bad_uploads_are_refused_at_the_door(library: Library) -> None:
    with pytest.raises(EmptyDocument):
        add_text(library, "a.txt", "")
    with pytest.raises(UsageError, match="no name"):
        add_text(library, "..", "x")
    with pytest.raises(UnknownCollection):
        add_text(library, "a.txt", "x", "nowhere")


def test_a_file_over_the_limit_leaves_nothing_behind(tmp_path: Path) -> None:
    library = fake_library(tmp_path / "small", ingest_max_bytes=1000)
    with pytest.raises(TooLarge, match="1,000 bytes"):
        add_text(library, "a.txt", "x" * 1001)
    left = [p for p in (tmp_path / "small" / "originals").rglob("*") if p.is_file()]
    library.close()
    assert left == []


def test_without_room_nothing_is_taken_in(tmp_path: Path) -> None:
    library = fake_library(tmp_path / "full", ingest_free_bytes=10**18)
    with pytest.raises(StorageError, match="must stay free"):
        add_text(library, "a.txt", "x")
    library.close()


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\Users\\x\\plan.pdf", "plan.pdf"),
        ("a\x00b\n.txt", "ab .txt"),
        ("u\u0308ber.txt", "über.txt"),
    ],
)
def test_hostile_names_are_cleaned(name: str, kept: str) -> None:
    assert clean_name(name) in (kept, kept.replace(" ", ""))


def test_what_is_removed_leaves_every_store(library: Library) -> None:
    marker = "xylophonequartz"
    name = add_text(library, "a.txt", f"The {marker} is in the cellar.")
    read_all(library)
    assert library.search(marker)[0].document_id == name
    digest = library.search(marker)[0].chunk_id
    remove(library.catalog, name)
    read_all(library)
    assert digest not in {i for batch in library.indexes.vectors.ids() for i in batch}
    assert digest not in set(library.indexes.words.ids())
    home = library.settings.home
    holding = [p for p in home.rglob("*") if p.is_file() and marker.encode() in p.read_bytes()]
    assert holding == []


def test_bytes_that_are_known_are_not_embedded_again(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rag.catalog.collections import create_collection

    create_collection(library.catalog, "other")
    add_text(library, "a.txt", "About giraffes.")
    read_all(library)

    def refuse(*_: object) -> None:
        raise AssertionError("the embedder was called")

    monkeypatch.setattr(library.embedder, "texts", refuse)
    again = add_text(library, "b.txt", "About giraffes.", "other")
    read_all(library)
    assert get_document(library.catalog, again).state == "live"


def test_a_worker_in_its_thread_makes_a_document_searchable_soon(library: Library) -> None:
    worker = Worker(library)
    worker.start()
    add_text(library, "warm.txt", "Warm up.")
    worker.wake()
    while library.search("warm up") == []:
        time.sleep(0.02)
    name = add_text(library, "a.txt", "About giraffes.")
    worker.wake()
    deadline = time.monotonic() + 20
    while get_document(library.catalog, name).state != "live":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    live = time.monotonic()
    while library.search("giraffes")[0].source != "a.txt":
        assert time.monotonic() - live < 2
    worker.stop()


def test_what_was_claimed_and_not_read_is_read_by_the_next_worker(library: Library) -> None:
    name = add_text(library, "a.txt", "About giraffes.")
    claim(library.catalog, 10, 10**9)
    read_all(library)
    assert get_document(library.catalog, name).state == "live"


def test_what_waits_for_its_vectors_is_not_put_down_to_a_death_in_the_embedder(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blamed is what is said to be parsed: while others are embedded, it is not said for long."""
    names = [add_text(library, f"{n}.txt", f"About giraffe number {n}.") for n in range(6)]
    embed = library.embedder.texts

    def embed_slowly(texts: Sequence[str], progress: Callable[[int], None]) -> Vectors:
        deadline = time.monotonic() + 20
        while {get_document(library.catalog, n).state for n in names} - {"embedding", "live"}:
            assert time.monotonic() < deadline
            progress(0)  # as after each batch
            time.sleep(0.01)
        return embed(texts, progress)

    monkeypatch.setattr(library.embedder, "texts", embed_slowly)
    read_all(library)
    assert {get_document(library.catalog, n).state for n in names} == {"live"}


@pytest.mark.parametrize("name", ["indexed", "publish"])
def test_what_was_claimed_goes_back_when_the_catalog_is_busy(
    library: Library, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    add_text(library, "a.txt", "About giraffes.")
    read_all(library)
    again = [add_text(library, f"{n}.txt", "About giraffes, too.") for n in range(2)]

    def busy(*_: object) -> None:
        raise Busy("Another process writes.")

    with monkeypatch.context() as patch:
        patch.setattr(f"ingest.pipeline.{name}", busy)
        with pytest.raises(Busy):
            read_all(library)
        assert {get_document(library.catalog, n).state for n in again} <= {"pending", "embedding"}
    read_all(library)
    assert {get_document(library.catalog, n).state for n in again} == {"live"}


def test_a_full_disk_puts_everything_back(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = add_text(library, "a.txt", "About giraffes.")
    before = add_text(library, "b.txt", "About zebras.")
    read_all(library)
    add_text(library, "c.txt", "About elephants.")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(library.indexes.vectors, "add", full)
        with pytest.raises(StorageError, match="full"):
            read_all(library)
    assert {p.document_id for p in library.search("about")} == {name, before}
    read_all(library)
    assert library.search("elephants")[0].source == "c.txt"


def test_an_original_that_is_gone_is_told(library: Library) -> None:
    name = add_text(library, "a.txt", "About giraffes.")
    (task,) = claim(library.catalog, 1, 10)
    original_path(library.settings, task.bytes_hash).unlink()
    read_all(library)
    assert "is gone" in (get_document(library.catalog, name).error or "")
