"""What people said of answers, as question files, as examples, and on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import delete

from rag.catalog.documents import list_documents, remove
from rag.catalog.feedback import rate
from rag.catalog.schema import answers
from rag.cli import main
from rag.commands.feedback import feedback
from rag.evaluation.questions import read_questions
from rag.evaluation.rated import (
    Rated,
    example_rows,
    marked_sentence,
    question_rows,
    rated,
    split_of,
)
from rag.library import Library
from rag.prompting import NOT_SAID
from rag.records import Filters, Question, Turn
from rag.settings import Settings
from rag.testing import FakeLLM, fake_library
from rag.tuning.examples import read_examples
from rag.tuning.job import Outcome
from tests.ingest.reading import add_text, read_all
from tests.rag.tuning.tiny import make_model

pytestmark = pytest.mark.usefixtures("one_thread")

LEAVE = "Up to five unused days of leave may be carried over until 31 March."
TEA = "Tea is in the kitchen on the second floor."
REPLY = "Up to five unused days of leave may be carried over until 31 March [1]."


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    library = fake_library(tmp_path_factory.mktemp("home"))
    add_text(library, "leave.txt", LEAVE)
    add_text(library, "tea.txt", TEA)
    read_all(library)
    yield library
    library.close()


@pytest.fixture
def library(opened: Library) -> Library:
    """Two documents, and nothing asked yet."""
    FakeLLM.replies, FakeLLM.pause = [], 0.0
    with opened.catalog.write() as connection:
        connection.execute(delete(answers))
    return opened


def document(library: Library, source: str) -> str:
    return next(d.id for d in list_documents(library.catalog) if d.source == source)


def ask(library: Library, text: str, reply: str = REPLY, **given: Any) -> dict[str, Any]:
    """Ask; the LLM writes `reply`."""
    FakeLLM.replies = [reply]
    return dict(list(library.ask(Question(text, **given)))[-1].data)


def run(library: Library, *words: str) -> Result:
    """A command of `cloister feedback`."""
    settings = Settings(home=library.settings.home)
    return CliRunner().invoke(feedback, list(words), obj=settings, catch_exceptions=False)


def test_right_answers_become_questions_that_evaluate_reads(
    library: Library, tmp_path: Path
) -> None:
    answer = ask(library, "How many unused days of leave may be carried over?")
    assert not answer["abstained"]
    rate(library.catalog, answer["id"], "right")
    file = tmp_path / "questions.jsonl"
    done = run(library, "export", "--for", "evaluate", str(file), "--json")
    assert json.loads(done.stdout) == {"written": 1, "left_out": {}}
    (item,) = read_questions(file)
    assert item.question == answer["question"]
    assert item.answerable
    assert item.answers == (answer["short_answer"] or LEAVE,)
    assert [(gold.source, gold.page, gold.quote) for gold in item.evidence] == [
        ("leave.txt", 1, LEAVE)
    ]
    assert item.split == split_of(item.question)


def test_right_answers_become_examples_that_finetune_reads(
    library: Library, tmp_path: Path
) -> None:
    answer = ask(library, "How many unused days of leave may be carried over?")
    rate(library.catalog, answer["id"], "right")
    file = tmp_path / "examples.jsonl"
    assert run(library, "export", "--for", "finetune", str(file)).exit_code == 0
    (example,) = read_examples(file)
    assert example.question == answer["question"]
    assert example.document == "leave.txt"
    texts = [source.text for source in example.passages]
    order = answer["made_with"]["prompt_passages"]
    assert texts == [answer["passages"][place]["text"] for place in order]
    (number,) = example.cited
    assert texts[number - 1] == LEAVE
    assert example.answer == f"{LEAVE[:-1]} [{number}]."


def test_a_wrong_answer_needs_a_correct_one(library: Library) -> None:
    answer = ask(library, "Where is the tea?")
    rate(library.catalog, answer["id"], "wrong")
    rows, left_out = question_rows(rated(library.catalog))
    assert (rows, dict(left_out)) == ([], {"wrong, and no correct answer was given": 1})
    rate(library.catalog, answer["id"], "wrong", correct_answer="the second floor")
    ((row,), _) = question_rows(rated(library.catalog))
    assert row["answers"] == ["the second floor"]
    assert row["evidence"] == [{"source": "tea.txt", "page": 1, "quote": TEA}]
    rate(library.catalog, answer["id"], "wrong", correct_answer=NOT_SAID)
    ((row,), _) = question_rows(rated(library.catalog))
    assert (row["answerable"], row["answers"], row["evidence"]) == (False, [], [])
    assert example_rows(rated(library.catalog)) == ([], {"wrong": 1})


def test_declining_that_was_right_is_learned_too(library: Library) -> None:
    answer = ask(library, "Who is the queen?", NOT_SAID)
    assert answer["abstained"]
    rate(library.catalog, answer["id"], "right")
    ((row,), _) = question_rows(rated(library.catalog))
    assert (row["answerable"], row["answers"]) == (False, [])
    ((example,), _) = example_rows(rated(library.catalog))
    assert example["answer"] == NOT_SAID
    assert len(example["passages"]) == 2


def test_a_follow_up_stands_alone_and_the_newest_of_two_counts(library: Library) -> None:
    history = (Turn("How many unused days of leave may be carried over?", "Five."),)
    first = ask(library, "And until when?", history=history)
    standalone = first["standalone_question"]
    assert standalone != first["question"]
    rate(library.catalog, first["id"], "right")
    second = ask(library, standalone, NOT_SAID)
    rate(library.catalog, second["id"], "wrong", correct_answer="31 March")
    rows, left_out = question_rows(rated(library.catalog))
    assert [(row["question"], row["answers"]) for row in rows] == [(standalone, ["31 March"])]
    assert dict(left_out) == {"an older answer to the same question": 1}
    assert json.dumps(rows).count("Five.") == 0


def test_a_question_of_one_collection_stays_one(library: Library, tmp_path: Path) -> None:
    """It is another one than the same question asked of all."""
    text = "How many unused days of leave may be carried over?"
    for given in ({"collections": ("default",)}, {}):
        rate(library.catalog, ask(library, text, **given)["id"], "right")
    file = tmp_path / "questions.jsonl"
    assert run(library, "export", "--for", "evaluate", str(file)).exit_code == 0
    items = read_questions(file)
    assert {item.asked_of(None) for item in items} == {("default",), None}
    assert {item.question for item in items} == {text}


def test_what_was_asked_of_chosen_documents_is_no_question_for_all(library: Library) -> None:
    chosen = Filters(documents=(document(library, "leave.txt"),))
    answer = ask(library, "How many unused days of leave may be carried over?", filters=chosen)
    rate(library.catalog, answer["id"], "right")
    assert question_rows(rated(library.catalog)) == ([], {"asked of chosen documents alone": 1})
    assert len(example_rows(rated(library.catalog))[0]) == 1
    about = ask(library, "How many documents are there?")
    assert about["answered_from"] == "catalog"
    rate(library.catalog, about["id"], "right")
    assert question_rows(rated(library.catalog))[1]["about the library itself"] == 1


def test_an_answer_that_cites_beyond_its_prompt_is_no_example(library: Library) -> None:
    given = ask(library, "How many unused days of leave may be carried over?")
    rate(library.catalog, given["id"], "right")
    (one,) = rated(library.catalog)
    chunks = [passage["chunk_id"] for passage in one.record["passages"]]
    place = chunks.index(one.record["citations"][0]["chunk_id"])

    def read_of(places: list[int]) -> Rated:
        return replace(one, record={**one.record, "made_with": {"prompt_passages": places}})

    rows, _ = example_rows([read_of([1 - place, place])])
    assert rows[0]["answer"].endswith("[2].")
    rows, left_out = example_rows([read_of([1 - place])])
    assert (rows, dict(left_out)) == ([], {"without a passage to learn from": 1})


def test_nothing_is_exported_of_a_document_that_went(library: Library, tmp_path: Path) -> None:
    name = add_text(library, "ice.txt", "Ice is in the cellar, below the second stairs.")
    read_all(library)
    answer = ask(library, "Where is the ice?", "Ice is in the cellar [1].")
    assert answer["citations"][0]["source"] == "ice.txt"
    rate(library.catalog, answer["id"], "right", comment="Yes.")
    assert "Yes." in run(library, "list").stdout
    remove(library.catalog, name)
    read_all(library)
    file = tmp_path / "questions.jsonl"
    file.write_text("of an earlier export\n", "utf-8")
    run(library, "export", "--for", "evaluate", str(file))
    assert file.read_text("utf-8") == ""
    assert json.loads(run(library, "list", "--json").stdout) == {"feedback": []}


def test_the_list_is_one_line_each_and_harmless(library: Library) -> None:
    answer = ask(library, "How many unused days of leave may be carried over?")
    rate(library.catalog, answer["id"], "wrong", "\x1b[31mRed\nand blue", "six")
    shown = run(library, "list").stdout.splitlines()
    assert shown[0].split()[1:] == ["wrong", answer["id"]]
    assert shown[-2:] == ["  correct answer: six", "  comment: �[31mRed and blue"]
    assert run(library, "list", "--rating", "right").stdout == ""
    (row,) = json.loads(run(library, "list", "--json").stdout)["feedback"]
    assert row["comment"] == "\x1b[31mRed\nand blue"


@pytest.mark.parametrize(
    ("text", "numbers", "marked"),
    [
        ("It leaves at nine.", [2], "It leaves at nine [2]."),
        ("Is it so?", [1, 3], "Is it so? [1] [3]"),
        ("It leaves at nine [7].", [1], "It leaves at nine [1]."),
        ("| Tea | 4 |", [1], "| Tea | 4 | [1]"),
    ],
    ids=["stop", "question", "marked", "row"],
)
def test_marks_stand_where_the_starter_learned_them(
    text: str, numbers: list[int], marked: str
) -> None:
    assert marked_sentence(text, numbers) == marked


def test_a_questions_split_does_not_hang_on_how_it_is_written() -> None:
    assert split_of("How many days?") == split_of("  how many  DAYS ?")
    splits = [split_of(f"Question {n}?") for n in range(200)]
    assert 70 < splits.count("dev") < 130


def test_finetune_takes_them_without_a_file(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = library.settings.home
    make_model(home / "models" / "tiny")
    words = ["--home", str(home), "models", "finetune", "tiny", "--from-answers"]
    none = CliRunner().invoke(main, words)
    assert none.exit_code == 2
    assert "rated right" in none.stderr
    asked = {
        "How many unused days of leave may be carried over?": REPLY,
        "Where is the tea?": f"{TEA[:-1]} [1].",
    }
    for question, reply in asked.items():
        rate(library.catalog, ask(library, question, reply)["id"], "right")
    seen: list[tuple[Any, ...]] = []

    def train(job: Any, *rest: Any) -> Outcome:
        seen.append((job.command, rest[3]["data_sha256"], {e.question for e in rest[4] + rest[5]}))
        return Outcome(0, 1)

    monkeypatch.setattr("rag.tuning.finetune._trained", train)
    rate(library.catalog, ask(library, "Who is the queen?", NOT_SAID)["id"], "wrong")
    done = CliRunner().invoke(main, words)
    assert "Left out, wrong: 1" in done.stderr
    command, data, questions = seen[0]
    assert command.startswith("cloister models finetune tiny --from-answers --licence")
    assert questions == set(asked)
    # with other ratings it is another training
    rate(library.catalog, ask(library, "What is in the kitchen?", NOT_SAID)["id"], "right")
    CliRunner().invoke(main, words)
    assert seen[1][1] != data
    assert len(seen[1][2]) == 3


def test_finetune_wants_its_examples_from_one_place(library: Library) -> None:
    home = str(library.settings.home)
    for words in ([], ["--from-answers", "--data", "x.jsonl"]):
        done = CliRunner().invoke(main, ["--home", home, "models", "finetune", "tiny", *words])
        assert done.exit_code == 2
        assert "--from-answers" in done.stderr
