"""A changed file that cannot be read answers as it did before, and its document says so."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ingest import planning, sync
from ingest.discover import Passed
from rag.catalog.audit import mark_lost_originals
from rag.catalog.documents import get_document, list_documents, remove
from rag.catalog.folders import retry_files
from rag.cli import main
from rag.records import Document
from tests.ingest.estates import OLD, Estate, counts


def _limit(estate: Estate, most: int) -> None:
    estate.library.settings = replace(estate.library.settings, ingest_max_bytes=most)


def _document(estate: Estate, source: str) -> Document:
    return get_document(estate.library.catalog, estate.sources()[source])


def _grown(estate: Estate) -> None:
    """Sync a file that then becomes larger than the limit."""
    _limit(estate, 1000)
    estate.write("a.txt", "About giraffes.")
    estate.sync()
    estate.write("a.txt", "About zebras." * 100)


def test_a_file_that_became_too_large_is_told_until_it_is_read_again(estate: Estate) -> None:
    _grown(estate)
    ((_, reason),) = estate.sync().failures
    document = _document(estate, "a.txt")
    assert (document.state, document.error_code) == ("live", "not-read-again")
    assert document.error == f"What answers is what an earlier sync read; now {reason}"
    assert "larger than 1,000 bytes" in reason
    assert estate.finds("giraffes") == ["a.txt"]
    arguments = ["--home", str(estate.library.settings.home), "ingest", "status"]
    assert "larger than 1,000 bytes" in CliRunner().invoke(main, arguments).stdout
    assert len(estate.sync().failures) == 1
    assert _document(estate, "a.txt") == document, "noted once"
    _limit(estate, 10_000)
    assert estate.sync().changed == 1
    document = _document(estate, "a.txt")
    assert (document.state, document.error, document.error_code) == ("live", None, None)


@pytest.mark.parametrize("name", ["a.txt", "b.txt"])
def test_a_file_that_is_as_before_is_told_no_more(estate: Estate, name: str) -> None:
    _grown(estate)
    estate.sync()
    (estate.folder / "a.txt").unlink()
    estate.write(name, "About giraffes.")
    assert estate.sync().failures == []
    assert _document(estate, name).error is None


def test_a_file_over_the_limit_is_not_hashed_at_each_sync(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    _grown(estate)
    hashed: list[str] = []
    hash_within = sync.hash_within

    def noted(root: Path, path: Path) -> str:
        hashed.append(path.name)
        return hash_within(root, path)

    monkeypatch.setattr(sync, "hash_within", noted)
    assert len(estate.sync().failures) == 1
    assert hashed == []
    # the limit is for what is taken in, not for what is there
    estate.write("a.txt", "About giraffes.")
    _limit(estate, 10)
    os.utime(estate.folder / "a.txt", ns=(OLD + 10**9, OLD + 10**9))
    report = estate.sync()
    assert (counts(report), report.failures) == ((0, 0, 0, 1, 0), [])
    assert hashed == ["a.txt"]


def test_a_file_that_may_not_be_read_is_told(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.txt", "b.txt"):
        estate.write(name, f"About giraffes in {name}.")
    estate.sync()
    remove(estate.library.catalog, estate.sources()["b.txt"])
    for name in ("a.txt", "b.txt"):
        estate.write(name, "Changed.")
    opened = os.open

    def opening(path: Any, *args: Any, **extra: Any) -> int:
        if str(path).startswith(str(estate.folder)):
            raise PermissionError(13, "Permission denied")
        return opened(path, *args, **extra)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", opening)
        estate.sync()
    assert "Permission denied" in (_document(estate, "a.txt").error or "")
    assert set(estate.sources()) == {"a.txt"}
    assert estate.sync().changed == 2


def test_a_file_that_cannot_even_be_looked_at_is_told(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    estate.write("a.txt", "About giraffes.")
    estate.sync()
    monkeypatch.setattr("ingest.discover.RACY_NANOSECONDS", 0)
    estate.sync()  # its times are trusted from here on
    with monkeypatch.context() as patch:
        broken = Passed("a.txt", "it cannot be read: Input/output error", True)
        patch.setattr(planning, "walk", lambda *_: iter([broken]))
        estate.sync()
    assert "Input/output error" in (_document(estate, "a.txt").error or "")
    assert estate.sync().unchanged == 1
    assert _document(estate, "a.txt").error is None


def test_a_lost_original_is_told_first_and_a_retry_is_no_matter(estate: Estate) -> None:
    _grown(estate)
    (document,) = list_documents(estate.library.catalog)
    with estate.library.catalog.read() as connection:
        bytes_hash = connection.exec_driver_sql("SELECT bytes_hash FROM documents").scalar_one()
    mark_lost_originals(estate.library.catalog, [bytes_hash])
    estate.sync()
    assert _document(estate, "a.txt").error_code == "original-lost"
    mark_lost_originals(estate.library.catalog, [])
    estate.sync()
    assert _document(estate, "a.txt").error_code == "not-read-again"
    assert retry_files(estate.library.catalog, 1) == 0
    assert document.id == _document(estate, "a.txt").id
