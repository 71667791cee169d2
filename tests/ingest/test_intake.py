"""What is taken in of the files within a file, and under which names."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast

import pytest

from ingest import intake as intake_module
from ingest.intake import Intake, MemberStream
from ingest.parsers.packed import UnpackLimits
from rag.originals import Incoming


class Kept:
    """Keeps no bytes, but the hashes of what is kept."""

    def __init__(self) -> None:
        self.hashes: list[str] = []

    def take(self, stream: BinaryIO, _name: str) -> tuple[str, int, bytes]:
        data = stream.read()
        self.hashes.append(data.decode())
        return data.decode(), len(data), data

    def drop(self, bytes_hash: str) -> None:
        self.hashes.remove(bytes_hash)


def _taken(names: list[str], kept: Kept | None = None) -> list[str]:
    """The names under which files of these names are listed; each has its number as its bytes."""
    intake = Intake(cast(Incoming, kept or Kept()), "a.zip", UnpackLimits(10**6, 10**9, 10**9))
    for number, name in enumerate(names):
        frames = iter([b"d%d" % number, b"e"])
        intake.take(name, MemberStream(lambda frames=frames: next(frames)))  # type: ignore[misc]
    return [member.name for member in intake.members]


def test_files_of_one_name_are_numbered() -> None:
    names = ["in/a.txt", "in/a (3).txt", "in/a.txt", "in/a.txt", "in/a (3).txt", "a.txt"]
    assert _taken(names) == [
        "in/a.txt", "in/a (3).txt", "in/a (2).txt", "in/a (4).txt", "in/a (3) (2).txt", "a.txt",
    ]  # fmt: skip


def test_each_number_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    class Counted(PurePosixPath):
        """Tells which names are tried."""

        def with_name(self, name: str) -> Any:
            tried.append(name)
            return super().with_name(name)

    monkeypatch.setattr(intake_module, "PurePosixPath", Counted)
    assert _taken(["a.txt"] * 300) == ["a.txt", *(f"a ({n}).txt" for n in range(2, 301))]
    assert len(tried) == 299


def test_bytes_of_a_kind_that_is_not_read_are_kept_for_another_that_is() -> None:
    kept = Kept()
    intake = Intake(cast(Incoming, kept), "a.zip", UnpackLimits(10, 10**9, 10**9))
    for name in ("a.txt", "a.unread", "b.unread"):
        frames = iter([b"dsame" if name[0] == "a" else b"dother", b"e"])
        intake.take(name, MemberStream(lambda frames=frames: next(frames)))  # type: ignore[misc]
    assert set(kept.hashes) == {"same"}
