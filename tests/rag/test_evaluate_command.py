"""`cloister evaluate`: what it writes, in which order, and what it refuses before it asks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rag.answerability import read_calibration
from rag.catalog import Catalog
from rag.catalog.collections import create_collection
from rag.cli import main
from rag.commands.evaluate import evaluate as evaluate_command
from rag.errors import Busy, UnknownCollection, UsageError
from rag.library import Library
from rag.records import Question
from rag.testing import fake_library
from tests.ingest.reading import add_text, read_all

ASKED = ("What is tea?", "What is ice?", "What is fire?")


class Session:
    """Declines every question; refuses the one that has `broken` in it."""

    asked: list[str]

    def __init__(self) -> None:
        self.asked = []
        self.collections: list[tuple[str, ...] | None] = []

    def search(self, *_: object) -> list[Any]:
        return []

    def ask(self, question: Question) -> Iterator[tuple[str, Any]]:
        if "broken" in question.text:
            raise Busy("Too many answers are under way.")
        self.asked.append(question.text)
        self.collections.append(question.collections)
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


def evaluate(
    tmp_path: Path, *options: str, asked: tuple[str, ...] = ASKED, collection: str | None = None
) -> Result:
    rows: list[dict[str, Any]] = [{"question": text, "answers": ["x"]} for text in asked]
    rows[0] |= {"evidence": [{"source": "tea.txt"}], "collection": collection}
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
        (["kept.part"], "One file of questions is scored at a time"),
        (["./questions.jsonl", "--calibrate", "a"], "is given twice"),
        (["kept.part", "--calibrate", "kept.part"], "another file of this run"),
        (["--calibrate", "a"], "has no question of the split “dev”"),
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


def test_a_question_is_asked_of_the_collection_that_it_names(
    tmp_path: Path, session: Session
) -> None:
    missing = evaluate(tmp_path, collection="north")
    assert missing.exit_code == 2
    assert "questions.jsonl, “q_" in missing.stderr
    assert "There is no collection “north”" in missing.stderr
    assert session.asked == []
    with closing(Catalog(tmp_path / "home" / "catalog.sqlite")) as catalog:
        for name in ("north", "south"):
            create_collection(catalog, name)
    done = evaluate(tmp_path, "--collection", "south", collection="north")
    assert done.exit_code == 0, done.output
    assert session.collections == [("north",), ("south",), ("south",)]
    assert "Not in the library, so their questions fail: tea.txt (of north)" in done.stderr


def _fit(library: Library, *words: str) -> Result:
    """`cloister evaluate` over a library with stand-ins for models, which is closed."""
    return CliRunner().invoke(evaluate_command, list(words), obj=library.settings)


def _questions(path: Path, boats: range, **more: Any) -> Path:
    """Questions about boats, a third with another gold answer, and as many without an answer."""
    rows = []
    for n in boats:
        hour = f"{n:02}:15" if n % 3 else "noon"
        rows.append({"question": f"When does the ferry boat{n} leave?", "answers": [hour]})
        rows.append({"question": f"Who painted zebra{n} quasar{n}?", "answerable": False})
    lines = [json.dumps({"split": "dev", **row, **more}) + "\n" for row in rows]
    extra = {"question": "Is this a test?", "answers": ["yes"], "split": "test"}
    path.write_text("".join([*lines, json.dumps(extra) + "\n"]), "utf-8")
    return path


@pytest.fixture
def harbour(tmp_path: Path) -> Library:
    """A library that is closed: boats 10 to 19 in `north`, 20 to 34 in `south`."""
    library = fake_library(tmp_path / "home", llm_model="none")
    for name, boats in (("north", range(10, 20)), ("south", range(20, 35))):
        create_collection(library.catalog, name)
        text = "\n\n".join(f"The ferry boat{n} leaves at {n:02}:15." for n in boats)
        add_text(library, "ferries.txt", text, name)
    read_all(library)
    library.close()
    return library


def test_a_fit_takes_files_of_several_collections(harbour: Library, tmp_path: Path) -> None:
    first = _questions(tmp_path / "first.jsonl", range(10, 20), collection="north")
    second = _questions(tmp_path / "second.jsonl", range(20, 35))
    target = tmp_path / "fit.json"
    done = _fit(
        harbour, str(first), str(second), "--collection", "south", "--calibrate", str(target)
    )
    assert done.exit_code == 0, done.output
    assert "fitted on 50 questions of 2 files" in done.output
    # all about one document
    assert "questions left out of the fit cannot be told" in done.output
    calibration = read_calibration(target)
    files: Any = calibration.fitted_on["files"]
    assert [(one["questions"], one["answerable"], one["unanswerable"]) for one in files] == [
        ("first.jsonl", 10, 10),
        ("second.jsonl", 15, 15),
    ]
    # of 7 and 10 that can be; asked of the other collection none would be
    assert files[0]["right"] == 7
    assert files[1]["right"] in (8, 9, 10)
    assert "held_out" not in calibration.fitted_on
    assert calibration.probability({"unknown_word": 0.0}) > 0.5


def test_a_fit_tells_how_it_does_on_documents_left_out_of_it(tmp_path: Path) -> None:
    library = fake_library(tmp_path / "home", llm_model="none")
    for n in range(10, 46):
        add_text(library, f"boat{n}.txt", f"The ferry boat{n} leaves at {n:02}:15.")
    read_all(library)
    library.close()
    questions = _questions(tmp_path / "boats.jsonl", range(10, 46))
    rows = [json.loads(line) for line in questions.read_text("utf-8").splitlines()]
    for number, row in enumerate(rows[:-1]):  # two a document
        row["evidence"] = [{"source": f"boat{10 + number // 2}.txt"}]
    questions.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    target = tmp_path / "fit.json"
    done = _fit(library, str(questions), "--calibrate", str(target))
    assert done.exit_code == 0, done.output
    kept: Any = read_calibration(target).fitted_on["held_out"]
    last = done.output.splitlines()[-1]
    assert last.startswith("On questions left out of the fit, a fifth each time: ")
    assert f"{kept['answerable_declined']:.1%} of the answerable" in last
    assert f"{kept['unanswerable_declined']:.1%} of the others declined" in last
    assert f"of {kept['answers']} answers is off by {kept['ece']:.3f}" in last
    # words that no document has tell these apart, in whichever documents
    assert kept["answerable_declined"] < 0.1
    assert kept["unanswerable_declined"] > 0.9
    assert 30 <= kept["answers"] <= 40


def test_a_fit_refuses_what_it_cannot_use_before_it_asks(
    harbour: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judged(*_: object) -> None:
        raise AssertionError("something was asked")

    monkeypatch.setattr("rag.evaluation.judged.judge_all", judged)
    target = ("--calibrate", str(tmp_path / "fit.json"))
    good = str(_questions(tmp_path / "good.jsonl", range(10, 20)))
    few = str(_questions(tmp_path / "few.jsonl", range(10, 19)))
    done = _fit(harbour, good, few, *target)
    assert isinstance(done.exception, UsageError)
    assert "few.jsonl has 9 and 9" in str(done.exception)
    lost = str(_questions(tmp_path / "lost.jsonl", range(10, 20), collection="east"))
    done = _fit(harbour, good, lost, *target)
    assert isinstance(done.exception, UnknownCollection)
    assert "lost.jsonl, “q_" in str(done.exception)
    assert not (tmp_path / "fit.json").exists()
