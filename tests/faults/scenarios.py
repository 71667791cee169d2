"""What is done while the disk fails, and what must be so afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ingest.check import findings, survey
from ingest.worker import Worker
from rag.catalog.documents import list_documents, remove
from rag.catalog.jobs import Job
from rag.errors import CloisterError
from rag.library import Library
from rag.testing import fake_library
from tests.ingest.in_process import without_children
from tests.ingest.reading import add_text, read_all

if TYPE_CHECKING:
    from tests.faults.nursery import Disk

OLD = "About zebras, of which the herd has nine."


def text(size: int) -> str:
    """A text about giraffes, of about `size` chunks."""
    parts = (
        f"Giraffe {n} eats leaf {n * 7}. " + "It stands in the shade. " * 25 for n in range(size)
    )
    return "\n\n".join(parts)


def _open(home: str) -> Library:
    without_children(pytest.MonkeyPatch())
    return fake_library(Path(home), erase_after_seconds=1e9)


def prepare(disk: Disk, home: str) -> Mapping[str, Any]:
    """A library with one old document."""
    library = _open(home)
    add_text(library, "old.txt", OLD)
    read_all(library)
    library.close()
    return {}


def ingest(disk: Disk, home: str, size: int, fault: list[Any], again: bool) -> Mapping[str, Any]:
    """Take a document in on a failing disk; `again`: then once more, on a sound one."""
    library = _open(home)
    with disk.failing(Path(home), *fault):
        outcome = tried(lambda: take_in(library, size))
        check_between(library)
        if outcome != "done":  # a lasting fault is met again
            outcome = tried(lambda: take_in(library, size))
            check_between(library)
        if outcome == "done":
            assert library.search("giraffe leaf")[0].source == "new.txt"
        if not again:
            outcome_of_closing = tried(library.close)
            assert outcome_of_closing in ("done", "storage-error"), outcome_of_closing
    if again:
        take_in(library, size)
        check_after(library, size)
        library.close()
    return {"outcome": outcome, "seen": disk.seen, "failed": disk.failed}


def look(disk: Disk, home: str, size: int) -> Mapping[str, Any]:
    """The next process: as before or as after; and trying again works."""
    library = _open(home)
    check_between(library)
    take_in(library, size)
    check_after(library, size)
    library.close()
    return {}


def erase(disk: Disk, home: str, fault: list[Any]) -> Mapping[str, Any]:
    """Remove the new document and erase it on a failing disk; then once more, on a sound one."""
    library = _open(home)
    take_in(library, 2)
    (new,) = [d for d in list_documents(library.catalog) if d.source == "new.txt"]
    with disk.failing(Path(home), *fault):
        removed = tried(lambda: remove(library.catalog, new.id))
        gone = removed == "done"
        outcome = tried(lambda: _erase(library)) if gone else removed
        assert library.search("zebras herd")[0].source == "old.txt"
        if gone:
            assert all(p.source == "old.txt" for p in library.search("giraffe leaf"))
    if not gone:
        remove(library.catalog, new.id)
    _erase(library)
    assert [p.source for p in library.search("giraffe zebras")] == ["old.txt"]
    assert findings(
        library.catalog, survey(library.settings, library.catalog, library.indexes)
    ).sound
    library.close()
    for path in Path(home).rglob("*"):
        assert not path.is_file() or b"iraffe" not in path.read_bytes(), path
    return {"outcome": outcome, "seen": disk.seen, "failed": disk.failed}


def _erase(library: Library) -> None:
    Worker(library).do(Job("", "erase", {}), lambda done, total: None)


def take_in(library: Library, size: int) -> None:
    add_text(library, "new.txt", text(size))
    read_all(library)


def tried(act: Any) -> str:
    try:
        act()
    except CloisterError as error:
        return error.code
    return "done"


def check_between(library: Library) -> None:
    """The old document answers, and the new one wholly or not at all."""
    assert library.search("zebras herd")[0].source == "old.txt"
    documents = {d.source: d for d in list_documents(library.catalog)}
    assert documents["old.txt"].state == "live"
    new = documents.get("new.txt")
    found = {p.source for p in library.search("giraffe leaf", limit=20)}
    assert new is None or new.state != "failed", new
    assert ("new.txt" in found) == (new is not None and new.searchable)


def check_after(library: Library, size: int) -> None:
    documents = list_documents(library.catalog)
    assert [(d.source, d.state) for d in documents] == [("new.txt", "live"), ("old.txt", "live")]
    assert documents[0].chunks >= size / 2
    assert library.search("giraffe leaf")[0].source == "new.txt"
    # as the idle worker does: a graph that is opened anew may not reach what it did before
    library.indexes.settle()
    told = findings(library.catalog, survey(library.settings, library.catalog, library.indexes))
    assert told.sound, told
