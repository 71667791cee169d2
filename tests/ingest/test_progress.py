"""Progress is a bar with rate and time left on a terminal, and a line now and then in a log."""

from __future__ import annotations

import io
import sys
import time

import pytest

from ingest import progress
from ingest.progress import Progress


class Terminal(io.StringIO):
    """Stands for a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_count_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with Progress() as shown:
        for left in (20, 15, 10):
            shown.left(left)
            time.sleep(0.3)
    text = terminal.getvalue()
    assert "10/20" in text
    assert "/s" in text
    assert "0:00:" in text


def test_a_log_has_a_line_an_interval(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 1000.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    with Progress() as shown:
        for step in range(101):
            now = 1000.0 + step / 4
            shown.left(100 - step)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "Reading documents: 40 of 100 documents",
        "Reading documents: 80 of 100 documents",
    ]


def test_nothing_beside_json(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(quiet=True) as shown:
        shown.left(3)
    assert capsys.readouterr().err == ""
