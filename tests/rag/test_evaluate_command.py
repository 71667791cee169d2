"""`cloister evaluate`: what it writes, in which order, and what it refuses before it asks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rag.catalog import Catalog
from rag.cli import main
from rag.errors import Busy
from rag.records import Question

ASKED = ("What is tea?", "What is ice?", "What is fire?")


class Session:
    """Declines every question; refuses the one that has `broken` in it."""

    asked: list[str]

    def __init__(self) -> None:
        self.asked = []

    def search(self, *_: object) -> list[Any]:
        return []

    def ask(self, question: Question) -> Iterator[tuple[str, Any]]:
        if "broken" in question.text:
            raise Busy("Too many answers are under way.")
        self.asked.append(question.text)
        answer = {"abstained": True, "text": "No.", "short_answer": None, "answerable": 0.3}
        answer |= {"citations": [], "passages": [], "sentences": [], "timings_ms": {"total": 5}}
        model = {"id": "m", "revision": "1", "device": "cpu", "adapter": None}
        yield "done", answer | {"model": model}


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Session:
    (tmp_path / "home").mkdir()
    Catalog(tmp_path / "home" / "catalog.sqlite").close()
    session = Session()

    @contextmanager
    def opened(*_: object, **__: object) -> Iterator[Session]:
        yield session

    monkeypatch.setattr("rag.session.open_session", opened)
    return session


def evaluate(tmp_path: Path, *options: str, asked: tuple[str, ...] = ASKED) -> Result:
    rows = [{"question": text, "answers": ["x"]} for text in asked]
    rows[0]["evidence"] = [{"source": "tea.txt"}]
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    arguments = ["--home", str(tmp_path / "home"), "evaluate", str(path), *options]
    return CliRunner().invoke(main, arguments)


def test_each_answer_is_kept_and_a_page_compares_two_runs(tmp_path: Path, session: Session) -> None:
    first, page = tmp_path / "first.jsonl", tmp_path / "page.html"
    done = evaluate(tmp_path, "--details", str(first), "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["all"]["abstention"]["answerable_declined"] == 1.0
    assert "Not in the library, so their questions fail: tea.txt" in done.stderr
    rows = [json.loads(line) for line in first.read_text("utf-8").splitlines()]
    assert [row["question"] for row in rows] == list(ASKED)
    assert {row["failure"] for row in rows} == {"declined; no passage found has the answer"}
    done = evaluate(tmp_path, "--report", str(page), "--against", str(first))
    assert done.exit_code == 0, done.output
    assert "3 of 3 questions are in both." in page.read_text("utf-8")


def test_what_was_answered_before_a_failure_is_kept(tmp_path: Path, session: Session) -> None:
    details = tmp_path / "run.jsonl"
    details.write_text("the run before", "utf-8")
    asked = (*ASKED[:2], "What is broken?", ASKED[2])
    done = evaluate(tmp_path, "--details", str(details), asked=asked)
    assert done.exit_code == 75
    assert f"The answers until then are in {details}.part" in done.stderr
    kept = (tmp_path / "run.jsonl.part").read_text("utf-8").splitlines()
    assert [json.loads(line)["question"] for line in kept] == list(ASKED[:2])
    assert details.read_text("utf-8") == "the run before"


def test_a_run_that_fails_at_once_leaves_nothing(tmp_path: Path, session: Session) -> None:
    done = evaluate(tmp_path, "--details", str(tmp_path / "run.jsonl"), asked=("broken?",))
    assert done.exit_code == 75
    assert "until then" not in done.stderr
    assert not (tmp_path / "run.jsonl.part").exists()


def test_a_question_that_is_too_long_is_told_first(tmp_path: Path, session: Session) -> None:
    done = evaluate(tmp_path, asked=(*ASKED, "why " * 1000))
    assert done.exit_code == 2
    assert "“q_" in done.stderr
    assert "4,000 characters" in done.stderr or "3,999 characters" in done.stderr
    assert session.asked == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--report", "."], "is no plain file"),
        (["--details", "questions.jsonl"], "another file of this run"),
        (["--details", "a", "--report", "a"], "another file of this run"),
        (["--details", "a", "--report", "a.part"], "another file of this run"),
        (["--against", "a", "--report", "a"], "another file of this run"),
        (["--details", "kept"], "has the answers of a run that broke off"),
        (["--details", "link"], "is no plain file"),
        (["--details", "nowhere/a"], "The folder of"),
        (["--against", "a"], "give --report"),
        (["--against", "a", "--report", "b"], "cannot be read"),
        (["--split", "tset"], "has no question of the split “tset”"),
        (["--calibrate", "a", "--report", "b"], "leave out"),
    ],
)
def test_what_cannot_be_written_is_told_before_anything_is_asked(
    options: list[str], told: str, tmp_path: Path, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept.part").write_text("{}\n", "utf-8")
    (tmp_path / "link").symlink_to("/dev/null")
    done = evaluate(tmp_path, *options)
    assert done.exit_code == 2
    assert told in done.stderr
    assert session.asked == []
