"""A command that another one looks at, or gives way to, goes on."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest.following import finish
from ingest.upkeep import do_job
from ingest.worker import Worker
from rag.catalog.documents import get_document
from rag.errors import Busy
from rag.library import open_catalog
from rag.lock import find_holder
from rag.settings import Settings
from rag.testing import fake_library, fake_settings
from tests.ingest.in_process import without_children
from tests.ingest.reading import add_text

READ_SECONDS = 0.3


@pytest.fixture
def queued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Settings, str]:
    """The settings of a closed library, and the id of the document that waits in it."""
    without_children(monkeypatch)
    library = fake_library(tmp_path / "home")
    name = add_text(library, "a.txt", "About giraffes.")
    library.close()
    return fake_settings(tmp_path / "home"), name


@pytest.fixture
def looked_at(queued: tuple[Settings, str]) -> Iterator[None]:
    """Another command looks for a moment who has the library, as `find_holder` does."""
    settings, _ = queued
    assert find_holder(settings) is None
    with (settings.home / "run" / "lock").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        timer = threading.Timer(READ_SECONDS, lambda: fcntl.flock(file, fcntl.LOCK_UN))
        timer.start()
        yield
        timer.join()


@pytest.mark.usefixtures("looked_at")
def test_the_queue_is_read_although_another_command_looked(queued: tuple[Settings, str]) -> None:
    settings, name = queued
    catalog = open_catalog(settings)
    finish(settings, catalog, "cloister ingest add", lambda left: None, wait=True)
    assert get_document(catalog, name).state == "live"
    catalog.close()


@pytest.mark.usefixtures("looked_at")
def test_a_job_is_done_although_another_command_looked(queued: tuple[Settings, str]) -> None:
    settings, _ = queued
    catalog = open_catalog(settings)
    found = do_job(settings, catalog, "x", "check", {}, lambda done, total: None)
    assert found["found"]["notes"] == ["1 documents wait to be read"]
    catalog.close()


@pytest.mark.parametrize("wait", [True, False])
def test_what_is_busy_within_the_work_is_raised(
    queued: tuple[Settings, str], monkeypatch: pytest.MonkeyPatch, wait: bool
) -> None:
    def busy(*_: object) -> None:
        raise Busy("Another process writes.")

    settings, _ = queued
    monkeypatch.setattr(Worker, "drain", busy)
    monkeypatch.setattr(Worker, "do", busy)
    catalog = open_catalog(settings)
    works: list[Callable[[], object]] = [
        lambda: finish(settings, catalog, "x", lambda left: None, wait),
        lambda: do_job(settings, catalog, "x", "erase", {}, lambda done, total: None),
    ]
    for work in works:
        with pytest.raises(Busy, match="Another process writes"):
            work()
    catalog.close()
