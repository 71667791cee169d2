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


class Clock:
    """The time of day of a test, in seconds."""

    now = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock.now)
    return clock


def _terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """One in the place of standard error. No fixture: pytest puts its own there after those."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return terminal


def test_a_terminal_shows_count_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _terminal(monkeypatch)
    with Progress() as shown:
        for left in (20, 15, 10):
            shown.left(left)
            time.sleep(0.3)
    text = terminal.getvalue()
    assert "10/20" in text
    assert "/s" in text
    assert "0:00:" in text


def test_a_log_has_a_line_an_interval(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as shown:
        for step in range(101):
            clock.now = 1000.0 + step / 4
            shown.left(100 - step)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "Reading documents: 40 of 100 documents",
        "Reading documents: 80 of 100 documents",
    ]


def test_one_work_after_another(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as shown:
        shown.begin("Comparing files", "files")
        clock.now += 10
        shown.at(200, 5000)
        shown.begin("Reading documents", "documents")
        clock.now += 10
        shown.left(7)
    assert capsys.readouterr().err.splitlines() == [
        "Comparing files: 200 of 5000 files",
        "Reading documents: 0 of 7 documents",
    ]


def test_a_terminal_shows_which_work(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _terminal(monkeypatch)
    with Progress() as shown:
        for label, total in (("Comparing files", 40), ("Reading documents", 30)):
            shown.begin(label, "things")
            shown.at(5, total)
            time.sleep(0.3)
    text = terminal.getvalue()
    assert "Comparing files" in text
    assert "5/40" in text
    assert "Reading documents" in text
    assert "5/30" in text


def test_nothing_beside_json(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(quiet=True) as shown:
        shown.left(3)
    assert capsys.readouterr().err == ""
