"""Folders that are moved, gone, out of reach, or Cloister's own."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from ingest.discover import OWN_FOLDERS, Found, Passed, walk
from rag.catalog.documents import remove
from rag.catalog.folders import find_folder, folder_key, known_files
from rag.catalog.schema import folders
from rag.cli import main
from rag.errors import NotFound, UsageError
from rag.library import Library
from tests.ingest.estates import Estate, counts


def _command(library: Library, name: str, folder: Path, *options: str) -> Result:
    given = {
        "CLOISTER_EMBEDDER_MODEL": "rag.testing:FakeEmbedding",
        "CLOISTER_INGEST_FREE_BYTES": "0",
    }
    home = str(library.settings.home)
    arguments = ["--home", home, "ingest", name, str(folder), *options]
    return CliRunner(env=given).invoke(main, arguments)


def _folders(library: Library) -> list[str]:
    with library.catalog.read() as connection:
        return sorted(connection.execute(select(folders.c.path)).scalars())


def _out_of_reach(monkeypatch: pytest.MonkeyPatch, place: Path, number: int) -> None:
    """Has the system fail with this error number where it is asked for the place."""
    stat = os.stat

    def failing(path: Any, *args: Any, **extra: Any) -> os.stat_result:
        if not isinstance(path, int) and Path(os.fsdecode(path)) == place:
            raise OSError(number, os.strerror(number), str(path))
        return stat(path, *args, **extra)

    monkeypatch.setattr(os, "stat", failing)


def test_the_documents_of_a_folder_that_moved_are_let_go(estate: Estate, tmp_path: Path) -> None:
    for name in ("plan.txt", "kept.txt", "out.txt"):
        estate.write(name, f"About giraffes in {name}.")
    estate.sync()
    remove(estate.library.catalog, estate.sources()["out.txt"])
    moved = Estate(tmp_path / "moved", estate.library)
    estate.folder.rename(moved.folder)
    (moved.folder / "plan.txt").unlink()
    (moved.folder / "out.txt").unlink()
    assert moved.sync().new == 1
    assert estate.finds("giraffes").count("plan.txt") == 1
    with pytest.raises(NotFound, match=r"mounted\?.*--confirm-deletions takes its documents \(2\)"):
        estate.sync()
    assert estate.sync(confirmed=True).removed == 2
    assert estate.finds("giraffes") == ["kept.txt"]
    with pytest.raises(NotFound, match=r"mounted\?$"):
        estate.sync(confirmed=True)


def test_what_a_person_removed_stays_out_when_the_folder_comes_back(
    estate: Estate, tmp_path: Path
) -> None:
    for name in ("a.txt", "out.txt"):
        estate.write(name, f"About giraffes in {name}.")
    estate.sync()
    remove(estate.library.catalog, estate.sources()["out.txt"])
    estate.folder.rename(tmp_path / "away")
    assert estate.sync(confirmed=True).removed == 1
    (tmp_path / "away").rename(estate.folder)
    assert counts(estate.sync()) == (1, 0, 0, 1, 0)
    assert estate.finds("giraffes") == ["a.txt"]


def test_the_command_lets_a_known_folder_go_and_no_other(estate: Estate, tmp_path: Path) -> None:
    estate.write("a.txt", "About giraffes.")
    estate.sync()
    estate.folder.rename(tmp_path / "moved")
    estate.library.close()
    typo = tmp_path / "foldre"
    for name, options in (("sync", ()), ("sync", ("--confirm-deletions",)), ("watch", ())):
        result = _command(estate.library, name, typo, *options)
        assert (result.exit_code, "mounted" in result.stderr) == (2, True)
        assert "--confirm-deletions" not in result.stderr
    refused = _command(estate.library, "sync", estate.folder)
    assert (refused.exit_code, "--confirm-deletions" in refused.stderr) == (2, True)
    done = _command(estate.library, "sync", estate.folder, "--confirm-deletions", "--json")
    assert (done.exit_code, json.loads(done.stdout)["removed"]) == (0, 1)
    assert _folders(estate.library) == [str(estate.folder)]
    assert known_files(estate.library.catalog, 1) == {}


def test_the_data_directory_is_not_synced(estate: Estate, tmp_path: Path) -> None:
    top = Estate(tmp_path, estate.library)
    home = estate.library.settings.home
    top.write("folder/a.txt", "About giraffes.")
    for name in ("logs/sync.log", "run/server.json"):
        top.write(f"{home.name}/{name}", '{"token": "giraffes"}')
    (tmp_path / "link.json").symlink_to(home / "run" / "server.json")
    report = top.sync()
    assert report.new == 1
    assert [source for source, _ in report.skips] == ["home", "link.json"]
    assert top.finds("giraffes") == ["folder/a.txt"]


def test_what_was_taken_in_of_the_data_directory_leaves_the_library(
    estate: Estate, tmp_path: Path
) -> None:
    for name in ("a.txt", "b.txt", "deep/data/run/server.json"):
        estate.write(name, f"About giraffes in {name}.")
    assert estate.sync().new == 3
    # the data directory by a link, and deep within the folder
    (tmp_path / "link").symlink_to(estate.folder / "deep" / "data")
    settings = estate.library.settings
    estate.library.settings = replace(settings, home=tmp_path / "link")
    (estate.folder / "deep" / "data" / "originals").symlink_to(settings.home / "originals")
    assert counts(estate.sync()) == (0, 0, 0, 2, 1)
    estate.library.settings = settings


def test_of_the_data_directory_only_the_operator_s_own_folders_are_synced(estate: Estate) -> None:
    estate.write("logs/a.txt", "About giraffes.")
    settings = estate.library.settings
    inner = Estate(settings.home / "documents", estate.library)
    inner.write("a.txt", "About zebras.")
    (inner.folder / "b.txt").symlink_to("a.txt")
    assert inner.sync().new == 2
    made = {path.name for path in settings.home.iterdir() if path.is_dir()} - {"documents"}
    assert made <= set(OWN_FOLDERS)
    for own in (settings.home, settings.home / "logs", settings.home / "originals" / "00"):
        own.mkdir(exist_ok=True)
        with pytest.raises(UsageError, match="Cloister's own"):
            Estate(own, estate.library).sync()
    key = folder_key(estate.library.catalog, str(settings.home), "default")
    assert known_files(estate.library.catalog, key) == {}


@pytest.mark.parametrize("number", [errno.EACCES, errno.ESTALE, errno.EIO])
def test_a_folder_out_of_reach_is_told_and_keeps_its_documents(
    estate: Estate, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    estate.write("a.txt", "About giraffes.")
    estate.sync()
    with monkeypatch.context() as patch:
        _out_of_reach(patch, estate.folder, number)
        for confirmed in (False, True):
            with pytest.raises(NotFound, match=os.strerror(number)) as raised:
                estate.sync(confirmed)
            assert ("let the user that runs" in str(raised.value)) == (number == errno.EACCES)
        result = _command(estate.library, "sync", estate.folder)
    assert (result.exit_code, os.strerror(number) in result.stderr) == (2, True)
    assert counts(estate.sync()) == (0, 0, 0, 1, 0)


def test_links_in_a_circle_are_told(estate: Estate, tmp_path: Path) -> None:
    (tmp_path / "round").symlink_to(tmp_path / "round")
    for name in ("sync", "watch"):
        result = _command(estate.library, name, tmp_path / "round")
        assert (result.exit_code, "is not a folder" in result.stderr) == (2, True)
    assert find_folder(estate.library.catalog, str(tmp_path / "round"), "default") is None


def test_a_folder_whose_path_is_not_utf_8_is_refused(estate: Estate, tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff"))
    (odd / "below").mkdir(parents=True)
    (odd / "below" / "a.txt").write_text("About giraffes.")
    (tmp_path / "link").symlink_to(odd)
    for name in ("sync", "watch"):
        for folder in (odd, odd / "below", tmp_path / "link", odd / "none"):
            result = _command(estate.library, name, folder)
            assert result.exit_code == 2
            assert f"The path {tmp_path}/bad?" in result.stderr
            assert "is not valid UTF-8. Nothing was changed; rename" in result.stderr
    assert _folders(estate.library) == []


class _Entry:
    """What a folder holds, on a file system that does not tell files from folders by itself."""

    def __init__(self, entry: os.DirEntry[str]) -> None:
        self.name, self.path = entry.name, entry.path

    def is_dir(self, **_: bool) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", self.path)


def test_an_entry_that_cannot_be_told_apart_is_passed_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "b.txt").write_text("x")
    scan = os.scandir

    class Scanning:
        def __init__(self, path: Any) -> None:
            self._scan = scan(path)

        def __enter__(self) -> Any:
            return [_Entry(e) if e.name == "a.txt" else e for e in self._scan]

        def __exit__(self, *_: object) -> None:
            self._scan.close()

    monkeypatch.setattr(os, "scandir", Scanning)
    first, second = walk(tmp_path)
    assert isinstance(first, Passed)
    assert isinstance(second, Found)
    assert (first.source, first.failed, second.source) == ("a.txt", True, "b.txt")
    assert first.reason.startswith("it cannot be read: Permission denied; let the user")
    assert str(tmp_path) not in first.reason
