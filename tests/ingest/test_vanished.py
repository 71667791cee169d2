"""Files that are gone, have moved, or were away for an instant only."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingest import sync
from rag.catalog.documents import remove
from rag.catalog.folders import folder_key, known_files
from tests.ingest.estates import Estate, counts


def _after_the_walk(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]) -> None:
    compared = sync.plan

    def plan(*given: Any) -> Any:
        made = compared(*given)
        happens()
        return made

    monkeypatch.setattr(sync, "plan", plan)


def test_a_file_that_was_away_for_an_instant_stays(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.txt", "sub/b.txt", "c.txt", "d.txt", "e.txt", "f.txt"):
        estate.write(name, f"About giraffes in {name}.")
    estate.sync()
    before = estate.sources()
    for name in ("a.txt", "sub/b.txt", "c.txt"):
        (estate.folder / name).unlink()

    def saved() -> None:
        estate.write("a.txt", "About zebras.")
        (estate.folder / "sub" / "b.txt").symlink_to("../d.txt")
        (estate.folder / "c.txt").mkdir()

    with monkeypatch.context() as patch:
        _after_the_walk(patch, saved)
        assert counts(estate.sync()) == (0, 0, 0, 3, 1)
    assert set(before) - set(estate.sources()) == {"c.txt"}
    assert counts(estate.sync()) == (0, 2, 0, 3, 0)
    assert estate.sources()["a.txt"] == before["a.txt"]
    assert estate.finds("zebras")[0] == "a.txt"


def test_what_cannot_be_looked_at_once_more_stays(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.txt", "b.txt"):
        estate.write(name, f"About giraffes in {name}.")
    estate.sync()
    (estate.folder / "a.txt").unlink()
    look = Path.lstat

    def stale(path: Path) -> os.stat_result:
        if path.name == "a.txt":
            raise OSError(116, "Stale file handle")
        return look(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "lstat", stale)
        assert estate.sync().removed == 0
    assert estate.sync().removed == 1


def test_another_file_that_answers_to_the_name_is_another(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the file system does not tell capitals from small letters."""
    for name in ("x/a.txt", "b.txt"):
        estate.write(name, f"About giraffes in {name}.")
    estate.sync()
    (estate.folder / "x" / "a.txt").unlink()
    estate.write("x/A.txt", "About zebras.")
    look = Path.lstat
    monkeypatch.setattr(
        Path, "lstat", lambda path: look(path.with_name(path.name.replace("a.txt", "A.txt")))
    )
    assert counts(estate.sync()) == (1, 0, 0, 1, 1)
    assert set(estate.sources()) == {"x/A.txt", "b.txt"}


def test_each_copy_in_a_renamed_folder_is_followed(estate: Estate) -> None:
    names = ("1/a.txt", "2/a.txt", "b.txt", "deep/c.md", "deep/c.txt")
    for name in names:
        estate.write(f"x/{name}", "About giraffes.")
    estate.sync()
    before = estate.sources()
    remove(estate.library.catalog, before["x/2/a.txt"])
    (estate.folder / "x").rename(estate.folder / "y")
    (estate.folder / "y" / "b.txt").rename(estate.folder / "y" / "new.txt")
    assert counts(estate.sync()) == (0, 0, 4, 1, 0)
    moved = {"y/new.txt": "x/b.txt"} | {
        f"y/{name}": f"x/{name}" for name in ("1/a.txt", "deep/c.md", "deep/c.txt")
    }
    assert estate.sources() == {new: before[old] for new, old in moved.items()}
    key = folder_key(estate.library.catalog, str(estate.folder), "default")
    removed = known_files(estate.library.catalog, key)["y/2/a.txt"]
    assert (removed.state, removed.document_id) == ("removed", before["x/2/a.txt"])


def test_a_file_that_moves_and_changes_its_kind_is_followed(estate: Estate) -> None:
    estate.write("a.txt", "# About giraffes")
    estate.sync()
    before = estate.sources()
    (estate.folder / "a.txt").rename(estate.folder / "b.md")
    assert estate.sync().renamed == 1
    assert estate.sources() == {"b.md": before["a.txt"]}
