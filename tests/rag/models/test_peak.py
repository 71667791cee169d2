"""The most memory in use, by the kernel's mark or by looking."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest

from rag.models.peak import HIGH_WATER, SEEN, Peak

MIB = 2**20


def status(proc: Path, mark: int, now: int) -> None:
    (proc / "status").write_text(f"Name:\tx\nVmHWM:\t{mark * 1024} kB\nVmRSS:\t{now * 1024} kB\n")


def test_what_was_taken_and_freed_again_is_counted() -> None:
    peak = Peak("cpu")
    if peak.how != HIGH_WATER:
        pytest.skip("the kernel's mark cannot be set back here")
    with mmap.mmap(-1, 64 * MIB) as taken:  # of the allocator it could be memory used before
        taken.write(b"x" * MIB * 64)
    found = peak.bytes()
    assert found is not None
    assert 60 * MIB < found < 200 * MIB


def test_the_mark_is_read_where_it_can_be_set_back(tmp_path: Path) -> None:
    status(tmp_path, 100, 100)
    peak = Peak("cpu", tmp_path)
    status(tmp_path, 350, 120)
    assert (peak.how, peak.bytes()) == (HIGH_WATER, 250 * MIB)
    assert (tmp_path / "clear_refs").read_text() == "5"


def test_a_mark_that_stays_is_not_believed(tmp_path: Path) -> None:
    status(tmp_path, 900, 100)
    peak = Peak("cpu", tmp_path)
    assert (peak.how, peak.bytes()) == (SEEN, 0)
    status(tmp_path, 900, 180)
    assert peak.bytes() == 80 * MIB
    status(tmp_path, 900, 130)
    assert peak.bytes() == 80 * MIB


def test_where_nothing_tells_it_is_not_known(tmp_path: Path) -> None:
    assert Peak("cpu", tmp_path / "absent").bytes() is None
