"""Long documents are written and embedded in portions, and a stop loses none of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from ingest import drafter
from ingest import pipeline as pipeline_module
from ingest.check import findings, survey
from ingest.pipeline import SLICE, Pipeline
from ingest.worker import Worker
from rag.catalog.checksums import BEGUN
from rag.catalog.collections import create_collection
from rag.catalog.contents import dead_contents, unpack_vector
from rag.catalog.documents import get_document, remove
from rag.catalog.schema import chunks, contents
from rag.errors import StorageError
from rag.library import Library
from rag.records import with_context
from rag.testing import fake_library
from tests.ingest.reading import add_text, read_all

# about 900 chunks
TEXT = "\n\n".join(
    f"Pump {n} was checked by team {n % 7}; its seal {n * 3} was renewed. " * 5 for n in range(900)
)


class Counted:
    """An embedder's `texts` that counts, and stops for good after so many."""

    def __init__(self, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
        self._texts = library.embedder.texts
        self.embedded = 0
        self.enough: int | None = None
        self.reached = threading.Event()
        monkeypatch.setattr(library.embedder, "texts", self)

    def __call__(self, texts: Any, progress: Any = None) -> Any:
        if self.enough is not None and self.embedded >= self.enough:
            self.reached.set()
            while progress:
                progress(0)
        self.embedded += len(texts)
        return self._texts(texts)


@pytest.fixture(autouse=True)
def long_is_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafter, "LONG_TEXT", 10_000)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = fake_library(tmp_path / "home")
    yield library
    library.close()


def _rows(library: Library) -> list[Any]:
    with library.catalog.read() as connection:
        return list(connection.execute(select(chunks).order_by(chunks.c.ordinal)).all())


def _contents(library: Library) -> list[Any]:
    with library.catalog.read() as connection:
        return list(connection.execute(select(contents)).all())


def _is_sound(library: Library) -> bool:
    found = survey(library.settings, library.catalog, library.indexes)
    return findings(library.catalog, found).sound


def _stopped_in_the_middle(library: Library, counted: Counted) -> None:
    counted.enough = 2 * SLICE
    worker = Worker(library)
    worker.start()
    assert counted.reached.wait(60)
    worker.stop()
    counted.enough = None


def _half_read(library: Library, monkeypatch: pytest.MonkeyPatch) -> tuple[Counted, str]:
    """A long document, its reading stopped in the middle: what was embedded, and its id."""
    counted = Counted(library, monkeypatch)
    name = add_text(library, "log.txt", TEXT)
    _stopped_in_the_middle(library, counted)
    return counted, name


def test_a_long_document_is_the_same_as_if_it_were_short(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = add_text(library, "log.txt", TEXT)
    read_all(library)
    monkeypatch.setattr(drafter, "LONG_TEXT", 10**9)
    other = fake_library(tmp_path / "other")
    add_text(other, "log.txt", TEXT)
    read_all(other)
    rows, (content,) = _rows(library), _contents(library)
    assert len(rows) > 3 * SLICE
    assert rows == _rows(other)
    made = [{**row._mapping, "created_at": ""} for row in (content, *_contents(other))]
    assert made[0] == made[1]
    assert get_document(library.catalog, name).chunks == len(rows)
    assert _is_sound(library)
    assert "Pump 321 " in library.search("pump 321 seal 963", limit=3)[0].text
    other.close()


def test_what_was_embedded_before_a_stop_is_not_embedded_again(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, name = _half_read(library, monkeypatch)
    assert get_document(library.catalog, name).state == "pending"
    assert _contents(library)[0].checksum == BEGUN
    before = counted.embedded
    assert before == 2 * SLICE
    Worker(library).drain()
    assert counted.embedded == len(_rows(library))
    assert get_document(library.catalog, name).state == "live"
    assert _is_sound(library)


def test_a_killed_process_leaves_what_was_embedded(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, name = _half_read(library, monkeypatch)
    with library.catalog.write() as connection:  # as a kill would leave it
        connection.exec_driver_sql("UPDATE documents SET state = 'embedding', progress = 0.6")
    library.close()
    again = fake_library(tmp_path / "home")
    rest = Counted(again, monkeypatch)
    read_all(again)
    assert counted.embedded + rest.embedded == len(_rows(again))
    assert get_document(again.catalog, name).state == "live"
    assert _is_sound(again)
    again.close()


def test_a_document_that_is_removed_when_half_done_leaves_nothing(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, name = _half_read(library, monkeypatch)
    assert dead_contents(library.catalog) == []
    assert library.search("pump 1") == []
    remove(library.catalog, name)
    read_all(library)
    assert _contents(library) == []
    assert _rows(library) == []
    assert _is_sound(library)


def test_the_same_long_text_twice_is_written_and_embedded_once(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(library, monkeypatch)
    create_collection(library.catalog, "other")
    names = [add_text(library, "log.txt", TEXT, where) for where in ("default", "other")]
    read_all(library)
    assert {get_document(library.catalog, name).state for name in names} == {"live"}
    assert counted.embedded == len(_rows(library))
    assert _is_sound(library)


def test_a_long_document_that_is_read_again_answers_meanwhile(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(library, monkeypatch)
    name = add_text(library, "log.txt", TEXT)
    read_all(library)
    with library.catalog.write() as connection:
        connection.exec_driver_sql("UPDATE contents SET indexed = 0")
        connection.exec_driver_sql("UPDATE documents SET state = 'pending'")
    counted.embedded = 0
    _stopped_in_the_middle(library, counted)
    assert library.search("pump 321 seal 963", ["default"])[0].document_id == name
    read_all(library)
    assert get_document(library.catalog, name).state == "live"
    assert _is_sound(library)


def test_small_documents_pass_a_long_one(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(library, monkeypatch)
    add_text(library, "log.txt", TEXT)
    small = add_text(library, "small.txt", "Tea is in the kitchen.")
    _stopped_in_the_middle(library, counted)
    assert get_document(library.catalog, small).state == "live"
    assert [d.source for d in library.search("tea kitchen")] == ["small.txt"]


def _half_done(library: Library, texts: list[str]) -> tuple[Pipeline, list[str]]:
    """A pipeline that has embedded a slice of the first of these texts, and the documents' ids."""
    names = [add_text(library, f"{n}.txt", text) for n, text in enumerate(texts)]
    pipeline = Pipeline(library.settings, library.catalog, library.embedder, library.indexes)
    while not any(draft.done for draft in pipeline._drafts):
        assert pipeline.run(lambda: False)
    return pipeline, names


def test_a_document_removed_in_hand_is_dropped_and_gives_no_other_its_vectors(
    library: Library,
) -> None:
    small = [f"Report {n}. " + "The seal was renewed by team seven. " * 40 for n in range(6)]
    pipeline, names = _half_done(library, [TEXT])
    remove(library.catalog, names[0])
    others = [add_text(library, f"small{n}.txt", text) for n, text in enumerate(small)]
    pipeline.sweep()  # as an erasing rebuild does between two rounds
    for _ in range(200):
        if not pipeline.run(lambda: False):
            break
    else:
        pytest.fail("it never ends")
    pipeline.close()
    assert {get_document(library.catalog, name).state for name in others} == {"live"}
    rows = _rows(library)
    assert {row.content_key for row in rows} == {row.key for row in _contents(library)}
    given = [with_context(row.context, row.text) for row in rows]
    vectors = library.embedder.texts(given)
    for row, vector in zip(rows, vectors, strict=True):
        assert unpack_vector(row.vector) @ vector > 0.999
    read_all(library)
    assert _is_sound(library)


def test_the_same_bytes_again_after_a_removal_in_hand_are_read(library: Library) -> None:
    pipeline, names = _half_done(library, [TEXT])
    remove(library.catalog, names[0])
    pipeline.sweep()
    again = add_text(library, "again.txt", TEXT)
    while pipeline.run(lambda: False):
        pass
    pipeline.close()
    assert get_document(library.catalog, again).state == "live"
    read_all(library)
    assert _is_sound(library)


def test_a_first_failed_attempt_keeps_what_was_embedded(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, name = _half_read(library, monkeypatch)
    with library.catalog.write() as connection:
        connection.exec_driver_sql("UPDATE documents SET attempts = 1")
    Worker(library).drain()
    assert counted.embedded == len(_rows(library))
    assert get_document(library.catalog, name).state == "live"


def test_a_sweep_that_fails_half_way_leaves_no_content_that_counts_as_whole(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = add_text(library, "a.txt", "About giraffes.")
    read_all(library)
    remove(library.catalog, name)
    with monkeypatch.context() as patch:

        def full(*_: Any) -> None:
            raise StorageError("full")

        patch.setattr(pipeline_module, "delete_contents", full)
        with pytest.raises(StorageError):
            read_all(library)
    again = add_text(library, "b.txt", "About giraffes.")
    read_all(library)
    assert get_document(library.catalog, again).state == "live"
    assert [p.source for p in library.search("giraffes")] == ["b.txt"]
    assert _is_sound(library)
