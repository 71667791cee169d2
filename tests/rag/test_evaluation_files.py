"""The files that an evaluation writes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from rag.evaluation.files import write_rows


def test_rows_that_cannot_be_written_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.jsonl"
    write_rows(path, [{"a": "é"}])
    before = path.read_bytes()
    with pytest.raises(UnicodeEncodeError):  # while it is written
        write_rows(path, [{"a": "x" * 100_000}, {"a": "\ud800"}])

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="full"):
        write_rows(path, [{"a": "b"}])
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == before
