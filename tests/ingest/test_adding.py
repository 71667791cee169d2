"""`cloister ingest add` tells what became of each file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from rag.cli import main
from tests.ingest.in_process import without_children


def test_bytes_that_are_there_under_another_name_are_told_with_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOISTER_EMBEDDER_MODEL", "rag.testing:FakeEmbedding")
    monkeypatch.setenv("CLOISTER_INGEST_FREE_BYTES", "0")
    without_children(monkeypatch)
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    for path in (first, second):
        path.write_text("About giraffes.")
    command = ["--home", str(tmp_path / "home"), "ingest", "add"]
    shown = CliRunner().invoke(main, [*command, str(first), str(second)])
    reason = "its bytes are in the library already as “a.txt”"
    assert shown.exit_code == 0
    assert f"{second}: {reason}" in shown.stdout
    assert f"{first}: " not in shown.stdout
    told = json.loads(CliRunner().invoke(main, [*command, str(second), "--json"]).stdout)
    assert told["known"] == [{"source": str(second), "reason": reason}]
    assert [d["source"] for d in told["documents"]] == ["a.txt"]
