"""What was removed is in no file after the erasing rebuild, and in no answer before it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ingest.erasing import is_due
from ingest.sync import register
from ingest.worker import Worker
from rag.catalog.answers import read_answer
from rag.catalog.documents import list_documents, remove
from rag.catalog.folders import folder_key
from rag.catalog.jobs import Job
from rag.catalog.removals import removals
from rag.errors import Busy, NotFound
from rag.library import Library
from rag.records import Question
from rag.serials import Serials
from rag.testing import fake_library
from tests.ingest.in_process import without_children
from tests.ingest.packing import mail, zipped
from tests.ingest.reading import add_text, read_all

MARKER = "xylophonequartz"
TEXT = f"The {MARKER} is in the cellar of house nine."


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    without_children(monkeypatch)


def _holding(home: Path, needle: bytes) -> list[str]:
    files = (path for path in home.rglob("*") if path.is_file())
    return [str(path.relative_to(home)) for path in files if needle in path.read_bytes()]


def _needles(library: Library) -> list[bytes]:
    """The marker, and the marked chunk's vector in both widths."""
    vector = library.embedder.texts([TEXT])[0]
    return [
        MARKER.encode(),
        np.asarray(vector, dtype="<f4").tobytes(),
        np.asarray(vector, dtype="<f2").tobytes(),
    ]


def _sync(library: Library, folder: Path) -> None:
    key = folder_key(library.catalog, str(folder), "default")
    register(library.settings, library.catalog, folder, key, "default")


def _serial(library: Library, name: str) -> str:
    path = Serials(library.catalog, library.settings.home, name).current()
    assert path is not None
    return path.name


def _remove(library: Library, folder: Path) -> None:
    (marked,) = [d for d in list_documents(library.catalog) if d.source == "marked.txt"]
    remove(library.catalog, marked.id)


def _vanish(library: Library, folder: Path) -> None:
    (folder / "marked.txt").unlink()
    _sync(library, folder)


def _change(library: Library, folder: Path) -> None:
    (folder / "marked.txt").write_text("Nothing of that kind is in the cellar.")
    _sync(library, folder)


@pytest.mark.parametrize("go", [_remove, _vanish, _change])
def test_a_marker_is_nowhere_in_the_data_directory(
    tmp_path: Path,
    go: Callable[[Library, Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.txt").write_text(f"The key of house {number} hangs at the gate.")
    (folder / "marked.txt").write_text(TEXT)
    library = fake_library(tmp_path / "home", erase_after_seconds=0.0)
    home = library.settings.home
    _sync(library, folder)
    read_all(library)
    needles = _needles(library)
    for needle in needles:
        assert _holding(home, needle), "the test would find it"
    events = list(library.ask(Question("What is in the cellar of house nine?")))
    answer = events[-1].data["id"]
    assert MARKER in str(read_answer(library.catalog, answer))

    go(library, folder)
    if go is not _change:  # what changed answers until the new is read
        assert all(MARKER not in p.text for p in library.search(MARKER, limit=20))
        with pytest.raises(NotFound):
            read_answer(library.catalog, answer)
    read_all(library)
    assert all(MARKER not in p.text for p in library.search(MARKER, limit=20))
    with pytest.raises(NotFound):
        read_answer(library.catalog, answer)
    for needle in needles:
        assert _holding(home, needle) == []
    assert MARKER not in caplog.text
    assert removals(library.catalog).since is None
    assert library.search("key of house 3")[0].source == "3.txt"
    library.close()
    for needle in needles:
        assert _holding(home, needle) == []


def test_the_rebuild_waits_for_its_time(tmp_path: Path) -> None:
    library = fake_library(tmp_path, erase_after_seconds=3600.0)
    name = add_text(library, "a.txt", TEXT)
    read_all(library)
    assert not is_due(library.settings, library.catalog)
    remove(library.catalog, name)
    read_all(library)
    assert _serial(library, "chroma") == _serial(library, "words") == "1"
    since = removals(library.catalog).since
    assert since is not None
    assert since > time.time() - 60
    library.catalog.note("removals.since", str(since - 4000))
    assert is_due(library.settings, library.catalog)
    read_all(library)
    assert _serial(library, "chroma") == _serial(library, "words") == "2"
    assert not is_due(library.settings, library.catalog)
    read_all(library)
    assert _serial(library, "chroma") == "2"
    library.close()


def test_a_clock_that_was_ahead_puts_nothing_off(tmp_path: Path) -> None:
    library = fake_library(tmp_path, erase_after_seconds=3600.0)
    library.catalog.note("removals.since", str(time.time() + 10 * 365 * 86_400))
    assert is_due(library.settings, library.catalog)
    read_all(library)
    assert not is_due(library.settings, library.catalog)
    library.close()


def test_a_first_reading_and_a_rename_remove_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.txt").write_text(TEXT)
    library = fake_library(tmp_path / "home")
    _sync(library, folder)
    read_all(library)
    (folder / "a.txt").rename(folder / "b.txt")
    _sync(library, folder)
    read_all(library)
    assert removals(library.catalog).count == 0
    library.close()


def test_questions_go_on_while_it_is_done(tmp_path: Path) -> None:
    library = fake_library(tmp_path)
    for number in range(40):
        add_text(library, f"{number}.txt", f"The code of box {number} is {number * 111}.")
    read_all(library)
    stop, wrong, asked = threading.Event(), [], [0]

    def ask() -> None:
        while not stop.is_set():
            try:
                if library.search("code of box 7", limit=1)[0].source != "7.txt":
                    wrong.append("another answer")
            except Exception as error:  # noqa: BLE001 - what is looked for
                wrong.append(repr(error))
            asked[0] += 1

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        Worker(library).do(Job("", "erase", {}), lambda done, total: None)
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert asked[0] > 3
    assert _serial(library, "chroma") == "4"
    library.close()


def test_stopped_within_it_leaves_the_old_and_stays_due(tmp_path: Path) -> None:
    library = fake_library(tmp_path, erase_after_seconds=0.0)
    name = add_text(library, "a.txt", TEXT)
    add_text(library, "b.txt", "About giraffes.")
    read_all(library)
    remove(library.catalog, name)

    def stop(done: int, total: int) -> None:
        raise Busy("stopped")

    with pytest.raises(Busy):
        Worker(library).do(Job("", "erase", {}), stop)
    assert library.search("giraffes")[0].source == "b.txt"
    assert [p.name for p in (tmp_path / "chroma").iterdir()] == ["1"]
    assert is_due(library.settings, library.catalog)
    read_all(library)
    assert _holding(tmp_path, MARKER.encode()) == []
    library.close()


def test_the_server_s_worker_does_it_when_idle(tmp_path: Path) -> None:
    library = fake_library(tmp_path, erase_after_seconds=0.0)
    worker = Worker(library)
    worker.start()
    name = add_text(library, "a.txt", TEXT)
    worker.wake()
    while not library.search(MARKER):
        time.sleep(0.02)
    remove(library.catalog, name)
    assert library.search(MARKER) == []
    deadline = time.monotonic() + 60
    while removals(library.catalog).since is not None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    worker.stop()
    assert _holding(tmp_path, MARKER.encode()) == []
    library.close()


def test_the_catalog_s_file_is_written_anew(tmp_path: Path) -> None:
    library = fake_library(tmp_path, erase_after_seconds=0.0)
    add_text(library, "b.txt", "About giraffes.")
    text = "\n\n".join(f"Part {n} speaks of pump {n * 31}. " * 20 for n in range(200))
    name = add_text(library, "a.txt", text)
    read_all(library)
    library.catalog.truncate_log()
    before = (tmp_path / "catalog.sqlite").stat().st_size
    remove(library.catalog, name)
    read_all(library)
    # no page is kept in which a copy of a moved row could stay
    assert (tmp_path / "catalog.sqlite").stat().st_size < before / 2
    library.close()


@pytest.mark.parametrize("changed", [True, False], ids=["changed", "removed"])
def test_what_was_in_an_archive_is_in_no_file_after_an_erase(tmp_path: Path, changed: bool) -> None:
    """Neither its text nor its name, be it in a mail within the archive."""
    library = fake_library(tmp_path / "home")
    inner = mail("S", "Find it attached.", {"secretname.txt": TEXT}).as_bytes()
    kept = {"kept.txt": "The pump is in the cellar."}
    (tmp_path / "folder").mkdir()
    archive = tmp_path / "folder" / "a.zip"
    archive.write_bytes(zipped({**kept, "letter.eml": inner}))
    (tmp_path / "folder" / "b.txt").write_text("The valve is in house two.")
    _sync(library, tmp_path / "folder")
    read_all(library)
    assert MARKER in library.search(MARKER, limit=1)[0].text
    if changed:
        archive.write_bytes(zipped(kept))
        _sync(library, tmp_path / "folder")
        read_all(library)
    else:
        (found,) = [d for d in list_documents(library.catalog) if d.source == "a.zip"]
        remove(library.catalog, found.id)
    assert all(MARKER not in p.text for p in library.search(MARKER, limit=20))
    Worker(library).do(Job("", "erase", {}), lambda done, total: None)
    for needle in (*_needles(library), b"secretname"):
        assert _holding(library.settings.home, needle) == []
    sources = {d.source for d in list_documents(library.catalog)}
    assert sources == ({"a.zip", "a.zip/kept.txt", "b.txt"} if changed else {"b.txt"})
    library.close()
