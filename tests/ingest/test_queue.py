"""The queue goes on: past errors, past stops, and past large documents."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from ingest import pipeline as pipeline_module
from ingest import worker as worker_module
from ingest.pipeline import Pipeline
from ingest.uploads import receive
from ingest.worker import Worker
from rag.catalog.collections import create_collection
from rag.catalog.documents import get_document
from rag.catalog.folders import folder_key
from rag.catalog.schema import documents
from rag.errors import Busy, StorageError
from rag.library import Library
from rag.testing import fake_library
from tests.ingest.reading import add_text, read_all

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = fake_library(tmp_path / "home")
    yield library
    library.close()


@pytest.fixture
def worker(library: Library, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    monkeypatch.setattr(worker_module, "RETRY_SECONDS", 0.1)
    worker = Worker(library)
    yield worker
    worker.stop()


def _until(met: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _state(library: Library, name: str) -> str:
    return get_document(library.catalog, name).state


def _attempts(library: Library) -> set[int]:
    with library.catalog.read() as connection:
        return {row.attempts for row in connection.execute(documents.select())}


def _long(words: int) -> str:
    return "\n\n".join(f"Paragraph {n} is about giraffes. " * 30 for n in range(words))


class Slow:
    """An embedder's `texts`, batch by batch, that takes its time and can be watched."""

    def __init__(self, library: Library, seconds: float) -> None:
        self._texts, self._seconds = library.embedder.texts, seconds
        self.begun = threading.Event()
        self.calls: list[int] = []

    def __call__(self, texts: Any, progress: Any = None) -> Any:
        self.calls.append(len(texts))
        self.begun.set()
        for done in range(0, len(texts), 8):
            time.sleep(self._seconds)
            if progress:
                progress(done)
        return self._texts(texts)


@pytest.mark.parametrize("error", [Busy("written by another"), RuntimeError("out of memory")])
def test_a_passing_error_ends_nothing(
    library: Library, worker: Worker, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    texts, raised = library.embedder.texts, []

    def fails_once(*given: Any) -> Any:
        if not raised:
            raised.append(error)
            raise error
        return texts(*given)

    monkeypatch.setattr(library.embedder, "texts", fails_once)
    name = add_text(library, "a.txt", "About giraffes.")
    worker.start()
    _until(lambda: _state(library, name) == "live")
    _until(lambda: library.readiness().get("ingest") == "ready")


def test_what_always_fails_fails_alone_and_with_its_own_reason(
    library: Library, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = library.embedder.texts

    def fails_at_zebras(given: Any, progress: Any = None) -> Any:
        if any("zebras" in text for text in given):
            raise RuntimeError("a bug")
        return texts(given, progress)

    monkeypatch.setattr(library.embedder, "texts", fails_at_zebras)
    bad = add_text(library, "bad.txt", "About zebras.")
    good = [add_text(library, f"{n}.txt", f"About giraffes {n}.") for n in range(3)]
    worker.start()
    _until(lambda: _state(library, bad) == "failed")
    assert "RuntimeError" in (get_document(library.catalog, bad).error or "")
    _until(lambda: all(_state(library, name) == "live" for name in good))


def test_what_stands_behind_a_copy_is_read_in_the_same_run(library: Library) -> None:
    create_collection(library.catalog, "other")
    add_text(library, "a.txt", "About giraffes.")
    read_all(library)
    add_text(library, "copy.txt", "About giraffes.", "other")
    behind = add_text(library, "b.txt", "About zebras.")
    with library.catalog.write() as connection:
        named = documents.c.id == behind
        connection.execute(update(documents).where(named).values(attempts=1))
        # the copy is not live yet: what it copies was not there when it was added
        connection.execute(
            update(documents)
            .where(documents.c.source == "copy.txt")
            .values(state="pending", content_key=None)
        )
    read_all(library)
    assert _state(library, behind) == "live"


def test_what_could_not_go_back_to_the_queue_goes_in_the_next_round(
    library: Library, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = {"indexed": 1, "release": 2}

    def failing(name: str) -> Any:
        work = getattr(pipeline_module, name)

        def act(*given: Any) -> Any:
            if fails[name]:
                fails[name] -= 1
                raise StorageError("The disk is full.")
            return work(*given)

        return act

    for name in fails:
        monkeypatch.setattr(pipeline_module, name, failing(name))
    monkeypatch.setattr(worker_module, "RETRY_SECONDS", 0.05)
    name = add_text(library, "a.txt", "About giraffes.")
    worker.start()
    _until(lambda: _state(library, name) == "live")
    assert set(fails.values()) == {0}


def test_no_worker_is_ready_that_cannot_begin(
    library: Library, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = worker_module.recover

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(worker_module, "recover", broken)
    worker.start()
    _until(lambda: "RuntimeError" in library.readiness().get("ingest", ""))
    monkeypatch.setattr(worker_module, "recover", begin)
    name = add_text(library, "a.txt", "About giraffes.")
    _until(lambda: _state(library, name) == "live")


def test_uploads_while_the_worker_sweeps_lose_nothing(library: Library, worker: Worker) -> None:
    worker.start()
    names = []
    for number in range(40):
        names.append(add_text(library, f"{number}.txt", f"About giraffes {number}."))
        worker.wake()
    _until(lambda: all(_state(library, name) == "live" for name in names))
    again = []
    for _ in range(20):
        again.append(add_text(library, "again.txt", "The same bytes."))
        worker.wake()
    _until(lambda: all(_state(library, name) == "live" for name in again))
    assert library.readiness()["ingest"] == "ready"


def test_an_orderly_stop_is_quick_and_no_attempt(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = add_text(library, "large.txt", _long(200))
    for _ in range(4):
        slow = Slow(library, 0.1)
        monkeypatch.setattr(library.embedder, "texts", slow)
        worker = Worker(library)
        worker.start()
        assert slow.begun.wait(20)
        began = time.monotonic()
        worker.stop()
        assert time.monotonic() - began < 2
        monkeypatch.undo()
        assert _state(library, name) == "pending"
        assert _attempts(library) == {0}
    read_all(library)
    assert _state(library, name) == "live"


def test_a_stop_while_a_document_is_parsed_is_no_failure(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = threading.Event()
    offsets = library.embedder.offsets

    def counting(text: str) -> list[tuple[int, int]]:
        slow.set()
        time.sleep(0.05)
        return offsets(text)

    monkeypatch.setattr(library.embedder, "offsets", counting)
    name = add_text(library, "large.txt", _long(2000))
    worker = Worker(library)
    worker.start()
    assert slow.wait(20)
    began = time.monotonic()
    worker.stop()
    assert time.monotonic() - began < 2
    assert _state(library, name) == "pending"
    assert _attempts(library) == {0}


def test_an_interrupted_command_puts_its_documents_back(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    name = add_text(library, "a.txt", "About giraffes.")
    with monkeypatch.context() as patch:
        patch.setattr(library.embedder, "texts", interrupted)
        for _ in range(4):
            with pytest.raises(KeyboardInterrupt):
                read_all(library)
            assert _state(library, name) == "pending"
    read_all(library)
    assert _state(library, name) == "live"


_SLOW_SYNC = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
from rag import testing
from rag.cli import main
text = testing.FakeEmbedding._get_text_embedding
def slow(self, given):
    print("embedding", flush=True)
    time.sleep(0.2)
    return text(self, given)
testing.FakeEmbedding._get_text_embedding = slow
main(["--home", sys.argv[1], "ingest", "sync", sys.argv[2]])
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_command_told_to_end_puts_its_documents_back(tmp_path: Path, number: int) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").write_text(_long(100))
    given = {"CLOISTER_EMBEDDER_MODEL": "rag.testing:FakeEmbedding", "CLOISTER_READER_MODEL": ""}
    command = [sys.executable, "-c", _SLOW_SYNC, str(tmp_path / "home"), str(tmp_path / "folder")]
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | given, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "embedding\n"
        process.send_signal(number)
        began = time.monotonic()
        process.wait(20)
        assert time.monotonic() - began < 10
        assert process.returncode != 0
    library = fake_library(tmp_path / "home")
    with library.catalog.read() as connection:
        (row,) = connection.execute(documents.select()).all()
    library.close()
    assert (row.state, row.attempts) == ("pending", 0)


def test_a_small_document_passes_a_large_one(
    library: Library, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(library, 0.02)
    monkeypatch.setattr(library.embedder, "texts", slow)
    large = add_text(library, "large.txt", _long(1500))
    mates = [add_text(library, f"{n}.txt", f"Mate {n}.") for n in range(3)]
    worker.start()
    assert slow.begun.wait(30)
    later = add_text(library, "later.txt", "About zebras.")
    before = len(slow.calls)
    _until(lambda: _state(library, later) == "live")
    assert len(slow.calls) - before <= 3
    assert all(_state(library, name) == "live" for name in mates)
    assert _state(library, large) == "embedding"
    assert get_document(library.catalog, large).progress > 0.3


def test_the_oldest_goes_on_however_many_small_ones_come(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = add_text(library, "large.txt", _long(300))
    texts, count = library.embedder.texts, 0

    def one_more(*given: Any) -> Any:
        nonlocal count
        if _state(library, large) != "live":
            count += 1
            assert count < 100
            add_text(library, f"{count}.txt", _long(40) + str(count))
        return texts(*given)

    monkeypatch.setattr(library.embedder, "texts", one_more)
    read_all(library)
    assert _state(library, large) == "live"


def test_a_sync_waits_for_its_own_folder_only(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ingest.sync import register

    large = add_text(library, "large.txt", _long(1500))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").write_text("About zebras.")
    key = folder_key(library.catalog, str(tmp_path / "folder"), "default")
    register(library.settings, library.catalog, tmp_path / "folder", key, "default")
    slow = Slow(library, 0)
    monkeypatch.setattr(library.embedder, "texts", slow)
    Worker(library).drain(folder=key)
    assert library.search("zebras")[0].source == "a.txt"
    assert len(slow.calls) <= 2
    assert _state(library, large) == "pending"


def test_the_same_bytes_in_hand_twice_are_embedded_once(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rag.catalog.collections import create_collection

    create_collection(library.catalog, "other")
    slow = Slow(library, 0)
    monkeypatch.setattr(library.embedder, "texts", slow)
    one = add_text(library, "a.txt", "About giraffes.")
    stream = io.BytesIO(b"About giraffes.")
    two, _ = receive(library.settings, library.catalog, stream, "a.txt", "other")
    read_all(library)
    assert {_state(library, one), _state(library, two)} == {"live"}
    assert sum(slow.calls) == 1


def test_the_next_slice_is_embedded_while_the_last_one_is_published(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    publishing = threading.Event()
    embedding = threading.Event()
    texts, add = library.embedder.texts, library.indexes.add

    def embed(some: list[str], progress: Callable[[int], None] | None = None) -> Any:
        if any("zebras" in text for text in some):
            embedding.set()
            assert publishing.wait(20)
        return texts(some, progress)

    def publish(rows: Any) -> None:
        publishing.set()
        assert embedding.wait(20)
        add(rows)

    small = add_text(library, "small.txt", "About giraffes.")
    with Worker(library)._working() as pipeline:
        while not any(not draft.left for draft in pipeline._drafts):
            assert pipeline.run(lambda: False)
        other = add_text(library, "other.txt", "About zebras.")
        monkeypatch.setattr(library.embedder, "texts", embed)
        monkeypatch.setattr(library.indexes, "add", publish)
        pipeline._claim()
        _until(lambda: all(future.done() for future in pipeline._parsing))
        assert pipeline.run(lambda: False)
        assert _state(library, small) == "live"
        monkeypatch.setattr(library.indexes, "add", add)
        while pipeline.run(lambda: False):
            pass
    assert _state(library, other) == "live"


def _embedding(
    library: Library, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], None]
) -> None:
    """Have something done while the text about giraffes is embedded."""
    texts = library.embedder.texts

    def embed(some: list[str], progress: Callable[[int], None] | None = None) -> Any:
        if any("giraffes" in text for text in some):
            meanwhile()
        return texts(some, progress)

    monkeypatch.setattr(library.embedder, "texts", embed)


@contextmanager
def _parsed(library: Library) -> Iterator[Pipeline]:
    """A pipeline whose next round embeds all that waits; it claims nothing by itself at first."""
    with Worker(library)._working() as pipeline:
        pipeline._claim()
        _until(lambda: all(future.done() for future in pipeline._parsing))
        yield pipeline


def test_the_next_documents_are_parsed_while_a_slice_is_embedded(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()
    first = add_text(library, "first.txt", "About giraffes.")
    with _parsed(library) as pipeline:
        later = add_text(library, "later.txt", "About zebras.")
        claim_next = pipeline._claim
        monkeypatch.setattr(
            pipeline, "_claim", lambda alone=True: claim_next(alone) if begun.is_set() else False
        )

        def parsed() -> None:
            begun.set()
            _until(lambda: any(draft.key for draft in pipeline._drafts[1:]), 20)

        _embedding(library, monkeypatch, parsed)
        assert pipeline.run(lambda: False)
        while pipeline.run(lambda: False):
            pass
    assert (_state(library, first), _state(library, later)) == ("live", "live")


def test_what_is_embedded_is_kept_where_looking_ahead_fails(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = threading.Event()
    calls: list[int] = []
    first = add_text(library, "first.txt", "About giraffes.")
    with _parsed(library) as pipeline:
        gather = pipeline._gather

        def busy() -> None:
            if calls and not failed.is_set():
                failed.set()
                raise Busy("written by another")
            gather()

        def wait() -> None:
            calls.append(1)
            assert failed.wait(20)

        monkeypatch.setattr(pipeline, "_gather", busy)
        _embedding(library, monkeypatch, wait)
        with pytest.raises(Busy):
            pipeline.run(lambda: False)
        while pipeline.run(lambda: False):
            pass
    assert _state(library, first) == "live"
    assert calls == [1]


def test_small_documents_that_pass_large_ones_are_not_all_in_hand(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_module, "_IN_HAND", 6)
    monkeypatch.setattr(pipeline_module, "_SMALL_BYTES", 1000)
    add_text(library, "large.txt", "About giraffes. " * 100)
    add_text(library, "other.txt", "About lions. " * 100)
    names = [add_text(library, f"{n}.txt", f"About zebra {n}.") for n in range(20)]
    most = 0
    with _parsed(library) as pipeline:

        def look() -> None:
            nonlocal most
            deadline = time.monotonic() + 1.5
            while time.monotonic() < deadline:
                most = max(most, sum(task.size <= 1000 for task in pipeline._held()))
                time.sleep(0.01)

        _embedding(library, monkeypatch, look)
        while pipeline.run(lambda: False):
            pass
    assert all(_state(library, name) == "live" for name in names)
    assert 3 < most <= 6


def test_what_cannot_be_given_to_a_parser_goes_back(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [add_text(library, f"{n}.txt", f"About zebra {n}.") for n in range(3)]

    def full(*_given: Any) -> Any:
        raise RuntimeError("can't start new thread")

    with Worker(library)._working() as pipeline:
        with monkeypatch.context() as patch:
            patch.setattr(pipeline._readers, "submit", full)
            with pytest.raises(RuntimeError):
                pipeline._claim()
        assert {_state(library, name) for name in names} == {"pending"}
        while pipeline.run(lambda: False):
            pass
    assert {_state(library, name) for name in names} == {"live"}


def test_what_was_embedded_is_kept_where_publishing_fails(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rag.errors import StorageError

    calls: list[int] = []
    texts = library.embedder.texts

    def counted(some: list[str], progress: Callable[[int], None] | None = None) -> Any:
        calls.append(len(some))
        return texts(some, progress)

    def full(_rows: Any) -> None:
        raise StorageError("The disk is full.")

    monkeypatch.setattr(library.embedder, "texts", counted)
    one = add_text(library, "one.txt", "About giraffes.")
    with Worker(library)._working() as pipeline:
        while not any(not draft.left for draft in pipeline._drafts):
            pipeline.run(lambda: False)
        two = add_text(library, "two.txt", "About zebras.")
        pipeline._claim()
        _until(lambda: all(future.done() for future in pipeline._parsing))
        with monkeypatch.context() as patch:
            patch.setattr(library.indexes, "add", full)
            with pytest.raises(StorageError):
                pipeline.run(lambda: False)
        while pipeline.run(lambda: False):
            pass
    assert (_state(library, one), _state(library, two)) == ("live", "live")
    assert calls == [1, 1]
