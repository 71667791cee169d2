"""The main job goes on where one file cannot be read, and stops where a step fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import first_run


class Steps:
    """Stands for the commands: the exit code of each, and which were run."""

    def __init__(self) -> None:
        self.codes = {"ingest": 0, "ask": 0}
        self.ran: list[str] = []

    def __call__(self, title: str, arguments: list[str]) -> int:
        self.ran.append(arguments[0])
        return self.codes[arguments[0]]


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Steps:
    steps = Steps()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLOISTER_HOME", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["first_run"])
    monkeypatch.setattr(first_run, "_step", steps)
    monkeypatch.setattr(first_run, "ROOT", tmp_path)
    return steps


def test_a_file_that_cannot_be_read_does_not_end_it(steps: Steps) -> None:
    steps.codes["ingest"] = 1
    assert first_run.main() == 0
    assert steps.ran == ["ingest", "ask"]


def test_a_step_that_fails_ends_it(steps: Steps) -> None:
    steps.codes["ingest"] = 75
    assert first_run.main() == 75
    assert steps.ran == ["ingest"]


def test_the_question_is_asked_once(steps: Steps) -> None:
    assert first_run.main() == 0
    assert first_run.main() == 0
    assert steps.ran == ["ingest", "ask", "ingest"]
