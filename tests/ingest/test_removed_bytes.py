"""What a person removed stays out until its bytes change, wherever they turn up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rag.catalog.documents import remove
from rag.catalog.restoring import removed_documents, restore
from tests.ingest.estates import Estate, counts
from tests.ingest.in_process import without_children
from tests.ingest.packing import zipped
from tests.ingest.reading import add_text, read_all

SECRET = "About the secret merger."
LIVE = "About the canteen."
INSIDE = zipped({"secret.txt": SECRET, "live.txt": LIVE})


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    without_children(monkeypatch)


def _remove(estate: Estate, *sources: str) -> None:
    for source in sources:
        remove(estate.library.catalog, estate.sources()[source])
    read_all(estate.library)


def _removed(estate: Estate) -> list[str]:
    return [item.source for item in removed_documents(estate.library.catalog)]


def _is_out(estate: Estate) -> bool:
    """Whether the secret is neither found nor stored."""
    held = (estate.library.settings.home / "originals").glob("??/*")
    stored = any(path.read_bytes() == SECRET.encode() for path in held)
    texts = [passage.text for passage in estate.library.search(SECRET, limit=20)]
    return not stored and SECRET not in texts


@pytest.fixture
def removed(estate: Estate) -> Estate:
    """A folder with a file that a person removed and two that answer."""
    estate.write("x/secret.txt", SECRET)
    estate.write("live.txt", LIVE)
    estate.write("other.txt", "About bicycles.")
    estate.sync()
    _remove(estate, "x/secret.txt")
    return estate


def test_moved_over_a_file_that_answers(removed: Estate) -> None:
    live = removed.sources()["live.txt"]
    (removed.folder / "x/secret.txt").rename(removed.folder / "live.txt")
    assert counts(removed.sync()) == (0, 1, 0, 1, 0)
    assert _is_out(removed)
    assert removed.finds(LIVE) == ["other.txt"]
    assert _removed(removed) == ["live.txt"]
    removed.stays_as_it_is(2)
    assert restore(removed.library.catalog, live) is False
    removed.sync()
    assert removed.finds(SECRET)[0] == "live.txt"


def test_changed_places_with_a_file_that_answers(removed: Estate) -> None:
    removed.write("x/secret.txt", LIVE)
    removed.write("live.txt", SECRET)
    removed.sync()
    assert _is_out(removed)
    assert removed.finds(LIVE)[0] == "x/secret.txt"
    assert _removed(removed) == ["live.txt"]


def test_in_a_folder_that_moved(removed: Estate, tmp_path: Path) -> None:
    removed.folder.rename(tmp_path / "moved")
    moved = Estate(tmp_path / "moved", removed.library)
    assert counts(moved.sync()) == (2, 0, 0, 1, 0)
    assert _is_out(moved)
    removed.sync(confirmed=True)
    assert _is_out(moved)
    assert set(moved.sources()) == {"live.txt", "other.txt"}


def test_away_for_one_sync_and_back(removed: Estate, tmp_path: Path) -> None:
    (removed.folder / "x").rename(tmp_path / "x")
    assert counts(removed.sync()) == (0, 0, 0, 2, 0)
    assert _removed(removed) == []
    (tmp_path / "x").rename(removed.folder / "x")
    assert counts(removed.sync()) == (0, 0, 0, 3, 0)
    assert _is_out(removed)
    assert _removed(removed) == ["x/secret.txt"]
    removed.write("x/secret.txt", SECRET + " It is off.")
    assert removed.sync().changed == 1
    assert removed.finds(SECRET)[0] == "x/secret.txt"


def test_two_copies_in_a_folder_that_is_renamed(estate: Estate) -> None:
    for name in ("x/a.txt", "x/b.txt"):
        estate.write(name, SECRET)
    estate.write("live.txt", LIVE)
    estate.sync()
    _remove(estate, "x/a.txt", "x/b.txt")
    (estate.folder / "x").rename(estate.folder / "y")
    assert counts(estate.sync()) == (0, 0, 0, 3, 0)
    assert _is_out(estate)
    assert _removed(estate) == ["y/a.txt", "y/b.txt"]


def _again_under_another_name(estate: Estate) -> None:
    (estate.folder / "a.zip").unlink()
    estate.write("b.zip", zipped({"secret.txt": SECRET, "more.txt": "About more."}))


def _two_renamed_copies(estate: Estate) -> None:
    estate.write("a.zip", zipped({"in/secret.txt": SECRET, "in/again.txt": SECRET}))


def _over_the_other(estate: Estate) -> None:
    estate.write("a.zip", zipped({"live.txt": SECRET}))


def _unpacked(estate: Estate) -> None:
    estate.write("a.zip", zipped({"live.txt": LIVE}))
    estate.write("secret.txt", SECRET)


@pytest.mark.parametrize(
    "save", [_again_under_another_name, _two_renamed_copies, _over_the_other, _unpacked]
)
def test_within_an_archive_that_is_saved_anew(
    estate: Estate, save: Callable[[Estate], Any]
) -> None:
    estate.write("a.zip", INSIDE)
    estate.sync()
    _remove(estate, "a.zip/secret.txt")
    save(estate)
    estate.sync(confirmed=True)
    texts = [passage.text for passage in estate.library.search(SECRET, limit=20)]
    assert SECRET not in texts
    assert not any(source.endswith("secret.txt") for source in estate.sources())


def test_members_of_the_same_bytes_keep_their_documents(estate: Estate) -> None:
    copies = {f"old/{n}.txt": SECRET for n in range(3)}
    estate.write("a.zip", zipped(copies))
    estate.sync()
    before = set(estate.sources().values())
    _remove(estate, "a.zip/old/1.txt")
    estate.write("a.zip", zipped({name.replace("old", "new"): SECRET for name in copies}))
    estate.sync()
    assert len(estate.sources()) == 3, "the archive and two"
    assert set(estate.sources().values()) < before


def test_a_copy_that_was_not_removed_stays_wherever_it_goes(removed: Estate) -> None:
    add_text(removed.library, "kept.txt", SECRET)
    read_all(removed.library)
    assert removed.finds(SECRET)[0] == "kept.txt"
    removed.write("y/copy.txt", SECRET)
    assert removed.sync().new == 1
    (removed.folder / "y/copy.txt").rename(removed.folder / "y/copy.md")
    assert removed.sync().renamed == 1
    assert {"kept.txt", "y/copy.md"} < set(removed.sources())
    removed.write("y/copy.md", LIVE)
    removed.write("live.txt", SECRET)
    removed.sync()
    assert "live.txt" in removed.finds(SECRET)


def test_it_comes_again_when_it_is_added_on_purpose(removed: Estate) -> None:
    add_text(removed.library, "added.txt", SECRET)
    _remove(removed, "added.txt")
    removed.write("new.txt", SECRET)
    assert removed.sync().new == 1
    assert removed.finds(SECRET)[0] == "new.txt"


def test_it_comes_again_when_it_was_restored(removed: Estate) -> None:
    (item,) = removed_documents(removed.library.catalog)
    restore(removed.library.catalog, item.document_id)
    (removed.folder / "x/secret.txt").rename(removed.folder / "elsewhere.txt")
    assert removed.sync().new == 1
    assert removed.finds(SECRET)[0] == "elsewhere.txt"


def test_other_collections_have_it(removed: Estate) -> None:
    from ingest.sync import register
    from rag.catalog.collections import create_collection
    from rag.catalog.folders import folder_key

    library = removed.library
    create_collection(library.catalog, "board")
    key = folder_key(library.catalog, str(removed.folder), "board")
    report = register(library.settings, library.catalog, removed.folder, key, "board")
    assert report.new == 3
