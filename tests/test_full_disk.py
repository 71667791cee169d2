"""A disk that is really full: a typed error, the old index answers, and it goes on afterwards."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.catalog.documents import get_document, remove
from rag.errors import StorageError
from rag.testing import fake_library
from tests.faults.scenarios import OLD, check_after, check_between, take_in, tried
from tests.ingest.in_process import without_children
from tests.ingest.reading import add_text, read_all

DISK = 24_000_000
SIZE = 60


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own, in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no mount is here")
    if mounted.returncode:
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    without_children(monkeypatch)


def _free(disk: Path) -> int:
    facts = os.statvfs(disk)
    return facts.f_bavail * facts.f_frsize


def _fill(disk: Path, left: int) -> Path:
    """Leave no more than `left` bytes free; returns what takes the others."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        while (room := _free(disk) - left) > 0:
            file.write(bytes(min(room, 1 << 20)))
    assert _free(disk) <= left
    return ballast


@pytest.mark.parametrize("left", [0, 8_000, 40_000, 100_000, 200_000, 400_000, 800_000])
def test_a_full_disk(disk: Path, left: int) -> None:
    library = fake_library(disk / "home")
    add_text(library, "old.txt", OLD)
    read_all(library)
    ballast = _fill(disk, left)
    for _ in range(2):
        outcome = tried(lambda: take_in(library, SIZE))
        assert outcome == "storage-error" or (outcome == "done" and left > 100_000)
        check_between(library)
    ballast.unlink()
    take_in(library, SIZE)
    check_after(library, SIZE)
    library.close()
    library = fake_library(disk / "home")
    check_after(library, SIZE)
    library.close()


def test_a_start_on_a_full_disk_says_so(disk: Path) -> None:
    library = fake_library(disk / "home")
    add_text(library, "old.txt", OLD)
    read_all(library)
    library.close()
    ballast = _fill(disk, 0)
    with pytest.raises(StorageError, match="free"):
        fake_library(disk / "home")
    ballast.unlink()
    library = fake_library(disk / "home")
    assert library.search("zebras")[0].source == "old.txt"
    library.close()


def test_removing_makes_the_room_that_is_missing(disk: Path) -> None:
    library = fake_library(disk / "home", ingest_free_bytes=DISK // 4, erase_after_seconds=1e9)
    large = add_text(library, "large.txt", OLD + "\n" * (DISK // 8))
    read_all(library)
    waiting = add_text(library, "waiting.txt", "About gazelles.")
    _fill(disk, DISK // 4 - 500_000)
    with pytest.raises(StorageError, match="must stay free"):
        read_all(library)
    remove(library.catalog, large)
    read_all(library)
    assert get_document(library.catalog, waiting).state == "live"
    assert library.search("zebras gazelles")[0].source == "waiting.txt"
    library.close()


def test_the_room_that_must_stay_free_is_left(disk: Path) -> None:
    library = fake_library(disk / "home", ingest_free_bytes=DISK // 2)
    add_text(library, "old.txt", OLD)
    read_all(library)
    ballast = _fill(disk, DISK // 2 - 100_000)
    before = _free(disk)
    with pytest.raises(StorageError, match="must stay free"):
        add_text(library, "new.txt", "About giraffes.")
    assert _free(disk) == before
    check_between(library)
    ballast.unlink()
    take_in(library, SIZE)
    check_after(library, SIZE)
    library.close()
