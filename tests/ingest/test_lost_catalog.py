"""A catalog that is gone, or older than the stored files, costs none of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ingest import uploads
from ingest.worker import Worker
from rag.catalog.documents import list_documents, remove
from rag.catalog.jobs import Job
from rag.cli import main
from rag.errors import Busy, StorageError
from rag.library import Library
from rag.testing import fake_library
from tests.ingest.in_process import without_children
from tests.ingest.reading import add_text, read_all


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    without_children(monkeypatch)


def _library(home: Path, *names: str) -> Library:
    """A library with these uploads more, all read."""
    library = fake_library(home)
    for name in names:
        add_text(library, name, f"All about {name}.")
    read_all(library)
    return library


def _stored(home: Path) -> list[str]:
    return sorted(path.read_text("utf-8") for path in (home / "originals").glob("??/*"))


def _drop(home: Path) -> None:
    for path in home.glob("catalog.sqlite*"):
        path.unlink()


def _empty(home: Path) -> None:
    _drop(home)
    (home / "catalog.sqlite").touch()


@pytest.mark.parametrize("lose", [_drop, _empty])
def test_no_new_catalog_is_made_beside_stored_files(
    tmp_path: Path, lose: Callable[[Path], None]
) -> None:
    home = tmp_path / "home"
    _library(home, "a.txt", "b.txt").close()
    shutil.copy(home / "catalog.sqlite", tmp_path / "backup")
    lose(home)
    there = sorted(home.glob("catalog.sqlite"))
    for _ in range(2):
        with pytest.raises(StorageError, match="from a backup, or move that folder away"):
            fake_library(home)
        assert sorted(home.glob("catalog.sqlite")) == there
    result = CliRunner().invoke(main, ["--home", str(home), "ingest", "status"])
    assert result.exit_code == 1
    assert "catalog.sqlite, is gone or empty" in result.stderr
    assert len(_stored(home)) == 2
    shutil.copy(tmp_path / "backup", home / "catalog.sqlite")
    library = _library(home)
    assert [d.source for d in list_documents(library.catalog)] == ["a.txt", "b.txt"]
    library.close()


def test_with_the_stored_files_moved_away_a_library_begins_anew(tmp_path: Path) -> None:
    home = tmp_path / "home"
    _library(home, "a.txt").close()
    _drop(home)
    (home / "originals").rename(tmp_path / "kept")
    library = _library(home, "b.txt")
    assert [d.source for d in list_documents(library.catalog)] == ["b.txt"]
    library.close()


def _check(library: Library, **arguments: bool) -> Any:
    return Worker(library).do(Job("", "check", arguments), lambda done, total: None)


def test_what_came_after_the_backup_of_the_catalog_stays(tmp_path: Path) -> None:
    home = tmp_path / "home"
    _library(home, "a.txt", "b.txt").close()
    shutil.copy(home / "catalog.sqlite", tmp_path / "backup")
    _library(home, "late.txt").close()
    shutil.copy(tmp_path / "backup", home / "catalog.sqlite")
    library = _library(home)
    (name,) = [d.id for d in list_documents(library.catalog) if d.source == "b.txt"]
    remove(library.catalog, name)
    read_all(library)
    assert _stored(home) == ["All about a.txt.", "All about late.txt."]
    (told,) = _check(library)["found"]["faults"]
    assert (told["kind"], told["count"]) == ("originals-unknown", 1)
    assert _check(library, repair=True)["left"]["faults"] == [told]
    assert len(_stored(home)) == 2
    assert _check(library, repair=True, unknown=True)["left"]["faults"] == []
    assert _stored(home) == ["All about a.txt."]
    library.close()


def test_what_came_after_the_backup_and_is_added_again_is_known(tmp_path: Path) -> None:
    home = tmp_path / "home"
    _library(home, "a.txt").close()
    shutil.copy(home / "catalog.sqlite", tmp_path / "backup")
    _library(home, "late.txt").close()
    shutil.copy(tmp_path / "backup", home / "catalog.sqlite")
    library = _library(home, "late.txt")
    assert _check(library)["found"]["faults"] == []
    for document in list_documents(library.catalog):
        remove(library.catalog, document.id)
    read_all(library)
    assert _stored(home) == []
    library.close()


def test_an_upload_that_could_not_be_registered_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise Busy("The catalog is being written by another process; try again.")

    library = _library(tmp_path / "home", "a.txt")
    with monkeypatch.context() as patch:
        patch.setattr(uploads, "add_upload", refuse)
        with pytest.raises(Busy):
            add_text(library, "b.txt", "refused")
    assert "refused" in _stored(tmp_path / "home")
    read_all(library)
    assert _stored(tmp_path / "home") == ["All about a.txt."]
    library.close()


def test_unknown_goes_with_repair_only(tmp_path: Path) -> None:
    arguments = ["--home", str(tmp_path / "home"), "ingest", "check", "--unknown"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "--repair" in result.stderr
