"""What is mounted below a synced folder, and what becomes of its files when it is not any more."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ingest import mounts, planning
from ingest.mounts import list_mounts, mounts_below
from ingest.patterns import selection
from ingest.sync import register
from rag.catalog.documents import remove
from rag.catalog.folders import folder_key, known_mounts
from rag.errors import UsageError
from tests.ingest.estates import Estate, counts


@dataclass
class Mounted:
    """Stands for the system: what is mounted below the folder; None where it does not tell."""

    places: set[str] | None = field(default_factory=set)

    def below(self, _folder: Path) -> frozenset[str] | None:
        return None if self.places is None else frozenset(self.places)


@pytest.fixture
def mounted(monkeypatch: pytest.MonkeyPatch) -> Mounted:
    stand_in = Mounted()
    monkeypatch.setattr(planning, "mounts_below", stand_in.below)
    return stand_in


def _fill(estate: Estate, *names: str) -> None:
    for name in names:
        estate.write(name, f"About giraffes in {name}.")


def _noted(estate: Estate) -> frozenset[str]:
    key = folder_key(estate.library.catalog, str(estate.folder), "default")
    return known_mounts(estate.library.catalog, key)


def _gone(estate: Estate, mounted: Mounted, place: str, kept: Path) -> None:
    """Unmount: the folder is there still, and empty."""
    assert mounted.places is not None
    mounted.places.remove(place)
    (estate.folder / place).rename(kept)
    (estate.folder / place).mkdir()


def test_what_is_mounted_below_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = tmp_path / "mountinfo"
    listed.write_bytes(
        b"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        b"23 22 0:40 / /srv/docs rw shared:1 - xfs /dev/sdb rw\n"
        b"24 23 0:41 / /srv/docs/B\xc3\xbcro\\040A rw - nfs4 s:/x rw\n"
        b"25 24 0:42 / /srv/docs/B\xc3\xbcro\\040A/in rw - cifs //s/x rw\n"
        b"26 22 0:43 / /srv/docs2 rw - xfs /dev/sdc rw\n"
        b"27 23 0:44 / /srv/docs/\xff rw - xfs /dev/sdd rw\n"
    )
    found = list_mounts(listed)
    assert found is not None
    assert [mount.kind for mount in found] == ["ext4", "xfs", "nfs4", "cifs", "xfs", "xfs"]
    monkeypatch.setattr(mounts, "list_mounts", lambda: found)
    assert mounts_below(Path("/srv/docs")) == {"Büro A", "Büro A/in"}
    assert list_mounts(tmp_path / "none") is None
    monkeypatch.setattr(mounts, "list_mounts", lambda: None)
    assert mounts_below(Path("/srv/docs")) is None


def test_the_files_of_a_mount_that_went_away_stay(
    estate: Estate, mounted: Mounted, tmp_path: Path
) -> None:
    _fill(estate, "a.txt", "b.txt", "c.txt", "share/d.txt", "share/in/e.txt")
    mounted.places = {"share", "share/in", "empty"}
    assert estate.sync().new == 5
    assert _noted(estate) == {"share", "share/in", "empty"}
    mounted.places -= {"share/in", "empty"}
    _gone(estate, mounted, "share", tmp_path / "kept")
    # written where the mount is meant to be
    _fill(estate, "share/d.txt", "share/stray.txt")
    (estate.folder / "c.txt").unlink()
    for removed in (1, 0):
        report = estate.sync()
        assert counts(report) == (0, 0, 0, 2, removed)
        ((place, reason),) = report.failures
        assert place == "share"
        assert "mount it, or sync with --confirm-deletions" in reason
    assert {"share/d.txt", "share/in/e.txt"} < set(estate.finds("giraffes"))
    assert _noted(estate) == {"share", "share/in"}
    for path in sorted((estate.folder / "share").iterdir()):
        path.unlink()
    (estate.folder / "share").rmdir()
    (tmp_path / "kept").rename(estate.folder / "share")
    mounted.places |= {"share", "share/in"}
    report = estate.sync()
    assert (counts(report), report.failures) == ((0, 0, 0, 4, 0), [])


def test_a_mount_that_is_gone_for_good_is_forgotten_when_that_is_confirmed(
    estate: Estate, mounted: Mounted, tmp_path: Path
) -> None:
    _fill(estate, "a.txt", "share/b.txt", "share/out.txt")
    mounted.places = {"share"}
    estate.sync()
    remove(estate.library.catalog, estate.sources()["share/out.txt"])
    _gone(estate, mounted, "share", tmp_path / "kept")
    assert [place for place, _ in estate.sync().failures] == ["share"]
    assert estate.sync(confirmed=True).removed == 1
    assert _noted(estate) == frozenset()
    report = estate.sync()
    assert (counts(report), report.failures) == ((0, 0, 0, 1, 0), [])


def test_a_mount_that_goes_away_during_the_walk_is_missed_too(
    estate: Estate, mounted: Mounted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(estate, "a.txt", "b.txt", "share/c.txt")
    mounted.places = {"share"}
    estate.sync()
    walked = planning.walk

    def walk(*given: object) -> object:
        _gone(estate, mounted, "share", tmp_path / "kept")
        return walked(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(planning, "walk", walk)
    report = estate.sync()
    assert ([place for place, _ in report.failures], report.removed) == (["share"], 0)


def test_the_rest_is_not_taken_for_few_files_beside_a_mount_that_went_away(
    estate: Estate, mounted: Mounted, tmp_path: Path
) -> None:
    _fill(estate, "a.txt", "b.txt", *(f"share/{n}.txt" for n in range(5)))
    mounted.places = {"share"}
    estate.sync()
    _gone(estate, mounted, "share", tmp_path / "kept")
    (estate.folder / "a.txt").unlink()
    (estate.folder / "b.txt").unlink()
    with pytest.raises(UsageError, match="2 of 2 files are gone"):
        estate.sync()
    assert len(estate.sources()) == 7


def test_a_mount_that_falls_out_of_the_patterns_is_not_missed(
    estate: Estate, mounted: Mounted, tmp_path: Path
) -> None:
    _fill(estate, "a.txt", "b.txt", "c.txt", "share/d.txt")
    mounted.places = {"share"}
    estate.sync()
    _gone(estate, mounted, "share", tmp_path / "kept")
    library = estate.library
    key = folder_key(library.catalog, str(estate.folder), "default")
    chosen = selection(exclude=["share/"])
    report = register(
        library.settings, library.catalog, estate.folder, key, "default", chosen=chosen
    )
    assert (report.removed, report.failures) == (1, [])


def test_where_the_system_does_not_tell_nothing_is_noted(
    estate: Estate, mounted: Mounted, tmp_path: Path
) -> None:
    _fill(estate, "a.txt", "b.txt", "share/c.txt")
    mounted.places = {"share"}
    estate.sync()
    (estate.folder / "share").rename(tmp_path / "kept")
    mounted.places = None
    report = estate.sync()
    assert (counts(report), report.failures) == ((0, 0, 0, 2, 1), [])
    assert _noted(estate) == {"share"}
