"""What a sync is to read and what is gone, by names and times alone."""

from __future__ import annotations

import sys
from pathlib import Path

from ingest.conversion import LEGACY_KINDS
from ingest.patterns import selection
from ingest.planning import plan
from rag.catalog.folders import Known


def _known(source: str, kind: str = "text") -> Known:
    return Known(f"doc_{source}", source, kind, "h", "", "live", None)


def _calls_to_plan(folder: Path, files: int) -> int:
    """How many functions are called to compare a folder of so many files that are passed by."""
    folder.mkdir()
    for number in range(files):
        (folder / f"{number}.doc").write_bytes(b"")
    known = {f"{number}.doc": _known(f"{number}.doc", "doc") for number in range(files)}
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        made = plan(folder, known, selection(unread=LEGACY_KINDS))
    finally:
        sys.setprofile(None)
    assert (len(made.passed), made.vanished) == (files, ())
    return calls


def test_files_that_are_passed_by_are_looked_at_once(tmp_path: Path) -> None:
    few, many = (_calls_to_plan(tmp_path / str(files), files) for files in (50, 200))
    assert many < 5 * few


def test_what_lies_below_a_folder_that_cannot_be_read_is_not_gone(tmp_path: Path) -> None:
    (tmp_path / "folder" / "shut").mkdir(parents=True)
    known = {name: _known(name) for name in ("shut/a.txt", "shut/x/b.txt", "shutter.txt", "c.txt")}
    (tmp_path / "folder" / "shut").rmdir()
    (tmp_path / "folder" / "shut").symlink_to("shut")  # in a circle: it cannot be looked at
    made = plan(tmp_path / "folder", known)
    assert [passed.failed for passed in made.passed] == [True]
    assert [file.source for file in made.vanished] == ["shutter.txt", "c.txt"]
