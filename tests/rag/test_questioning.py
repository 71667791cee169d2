"""Questions drafted from documents, and a person's approval of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rag.catalog.collections import create_collection
from rag.commands.questions import questions
from rag.errors import Busy, NotFound, UnknownCollection, UsageError
from rag.evaluation.questions import known_by, read_questions
from rag.library import Library
from rag.questioning import checks, filling
from rag.questioning.checks import question_in, wrong_with
from rag.questioning.drafts import DraftFile
from rag.questioning.filling import GONE, Filled, fill
from rag.questioning.proposing import Proposal, propose
from rag.questioning.targets import Target, draw, targets_of
from rag.records import Passage
from rag.session import LocalSession
from rag.settings import Settings
from rag.testing import FakeLLM, fake_library
from rag.tuning.examples import read_examples
from tests.ingest.reading import add_text, read_all

FERRY = "The ferry to Lindholm island carries at most 240 passengers on each trip."
BADGE = "A lost badge is replaced by the front desk for a fee of 15 euros."
GATE = "Names of visitors are kept at the north gate for sixty days."
ASKED = {
    FERRY: "How many passengers does the ferry to Lindholm island carry on each trip?",
    BADGE: "How much is the fee for a lost badge at the front desk?",
    GATE: "How many days are names of visitors kept at the north gate?",
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    library = fake_library(tmp_path_factory.mktemp("home"))
    for number, text in enumerate(ASKED):
        add_text(library, f"{number}.txt", text)
    read_all(library)
    yield library
    library.close()


@pytest.fixture
def library(opened: Library, monkeypatch: pytest.MonkeyPatch) -> Library:
    """Three documents of a sentence each; commands use the library that is open."""
    FakeLLM.replies, FakeLLM.pause = [], 0.0

    class Opened(LocalSession):
        def __enter__(self) -> Opened:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr("rag.session.open_session", lambda *_, **__: Opened(opened))
    return opened


def run(library: Library, *words: str, given: str = "") -> Result:
    settings = Settings(home=library.settings.home)
    return CliRunner().invoke(questions, list(words), given, obj=settings)


def draft(library: Library, file: Path, *options: str, replies: dict[str, str] = ASKED) -> Any:
    """Have drafts made of what the LLM writes for each sentence."""
    FakeLLM.replies = [replies[target.sentence] for target in draw(library.catalog, seed=0)]
    done = run(library, "draft", str(file), "--json", *options)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def target_of(sentence: str, title: str = "Rules") -> Target:
    passage = Passage("c", "d", title, "rules.txt", 1, 0, len(sentence), sentence, 1.0)
    (found,) = targets_of(passage)
    return found


@pytest.mark.parametrize(
    ("sentence", "answer", "begins"),
    [
        (FERRY, "240 passengers", "How many passengers"),
        (BADGE, "15 euros", "How much"),
        ("The contract with Rossmere was signed on 3 March 2025.", "3 March 2025", "On what date"),
        ("The gate to the yard is locked each evening at 22:30.", "22:30", "At what time"),
        ("The reserve must reach 43 percent of the wages.", "43 percent", "What percentage"),
        ("The drawings are kept in the archive by Joris Haldane.", "Joris Haldane", "Who"),
    ],
    ids=["count", "money", "date", "time", "share", "name"],
)
def test_a_sentence_is_asked_about_its_one_answer(sentence: str, answer: str, begins: str) -> None:
    found = target_of(sentence)
    assert (found.answer, found.begins, found.sentence) == (answer, begins, sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "It carries at most 240 passengers on each of its trips.",
        "The ferry leaves for the island from the north pier.",
        "Trips cost 12 euros for adults and 6 euros for children.",
        "| ferry | 240 passengers | Lindholm | north pier | summer |",
        "At most 240 passengers.",
        "which carries at most 240 passengers on each of its trips",
    ],
    ids=["leans", "no answer", "two answers", "row", "short", "fragment"],
)
def test_what_cannot_be_asked_about_is_left(sentence: str) -> None:
    passage = Passage("c", "d", "", "x.txt", 1, 0, len(sentence), sentence, 1.0)
    assert targets_of(passage) == []


@pytest.mark.parametrize(
    ("question", "wrong"),
    [
        (ASKED[FERRY], None),
        ("How many?", checks.NO_QUESTION),
        ("Does the ferry to Lindholm carry 240 passengers?", checks.GIVEN_AWAY),
        ("How many planets circle the sun each year?", checks.ELSEWHERE),
        ("How many people created the ferry to Lindholm island?", checks.ELSEWHERE),
        ("How many passengers does it carry to Lindholm on each trip?", checks.LEANS),
        ("When does the ferry carry passengers to Lindholm island?", checks.OTHER_KIND),
        ("Does the ferry carry passengers to Lindholm island?", checks.OTHER_KIND),
    ],
    ids=["good", "short", "given", "else", "invented", "leans", "kind", "yes or no"],
)
def test_rules_tell_what_is_wrong(question: str, wrong: str | None) -> None:
    assert wrong_with(question, target_of(FERRY, "Ferry")) == wrong


def test_the_first_question_is_taken_from_what_was_written() -> None:
    assert question_in('Question: "How long\n is it?" Answer: 5. Why?') == "How long is it?"
    assert question_in("The ferry carries 240.") == ""


def test_sentences_are_drawn_from_all_documents_by_the_seed_alone(library: Library) -> None:
    drawn = [[target.sentence for target in draw(library.catalog, seed=seed)] for seed in range(6)]
    assert all(sorted(sentences) == sorted(ASKED) for sentences in drawn)
    assert len({tuple(sentences) for sentences in drawn}) > 1
    assert [target.sentence for target in draw(library.catalog, seed=3)] == drawn[3]


def test_good_drafts_are_kept_and_the_others_counted(library: Library, tmp_path: Path) -> None:
    file = tmp_path / "drafts.jsonl"
    replies = {FERRY: ASKED[FERRY], BADGE: "The fee is 15 euros.", GATE: "Who keeps it?"}
    told = draft(library, file, replies=replies)
    assert told == {
        "drafts": 1,
        "tried": 3,
        "dropped": {checks.NO_QUESTION: 2},
    }
    (row,) = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert row["approved"] is False
    assert row["answers"] == ["240 passengers"]
    assert row["evidence"] == [{"source": "0.txt", "page": 1, "quote": FERRY}]
    assert row["drafted_by"] == "rag.testing:FakeLLM@"
    # again: only what is not there yet is tried
    FakeLLM.replies = [ASKED[BADGE], ASKED[BADGE]]
    done = run(library, "draft", str(file), "--json")
    told = json.loads(done.stdout)
    assert (told["drafts"], told["tried"]) == (1, 2)
    assert len(file.read_text("utf-8").splitlines()) == 2


class Talking:
    """A session that raises or gives what is `said`, one after another."""

    def __init__(self, *said: Exception | str) -> None:
        self.said = list(said)

    def propose(self, target: Target) -> Proposal:
        said = self.said.pop(0)
        if isinstance(said, Exception):
            raise said
        return Proposal(said, None, "m")


def filled(path: Path, session: Any, count: int = 3) -> tuple[Filled, list[str], list[float]]:
    """What `fill` made of the three sentences, what it told, and how long it waited."""
    lines: list[str] = []
    waits: list[float] = []
    with DraftFile(path, new=True) as drafts:
        targets = map(target_of, ASKED)
        done = fill(drafts, targets, session, count, lines.append, waits.append)
    return done, lines, waits


def test_one_sentence_does_not_end_the_drafting(tmp_path: Path) -> None:
    busy = Busy("Too many answers are under way.")
    session = Talking(busy, busy, ASKED[FERRY], NotFound("There is no such sentence."), ASKED[GATE])
    done, lines, waits = filled(tmp_path / "drafts.jsonl", session)
    assert (done.made, done.tried, dict(done.dropped)) == (2, 3, {GONE: 1})
    assert waits == [1, 2]
    assert lines[0] == "Too many answers are under way. Asking again in 1 s."


def test_giving_up_is_told_from_having_no_more_sentences(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "PATIENCE", 2)
    FakeLLM.replies = ["No."] * 2
    done = run(library, "draft", str(tmp_path / "a.jsonl"), "--count", "1")
    assert "Gave up after 2 sentences: --seed tries others." in done.stdout
    assert "no more sentences" not in done.stdout
    for count in ("2", "3"):
        FakeLLM.replies = ["No."] * 3
        done = run(library, "draft", str(tmp_path / "a.jsonl"), "--count", count)
        assert "There were no more sentences" in done.stdout
        assert "Gave up" not in done.stdout


def test_what_was_drafted_is_kept_where_the_llm_stays_busy(tmp_path: Path) -> None:
    session = Talking(ASKED[FERRY], *[Busy("Busy.")] * 9)
    with pytest.raises(Busy):
        filled(tmp_path / "drafts.jsonl", session)
    assert len(session.said) == 2
    with DraftFile(tmp_path / "drafts.jsonl") as drafts:
        assert [row["question"] for row in drafts.rows] == [ASKED[FERRY]]
    # what another try cannot mend ends it
    with pytest.raises(UsageError, match="No LLM"):
        filled(tmp_path / "drafts.jsonl", Talking(UsageError("No LLM is in use.")))


def test_the_same_question_is_asked_once(library: Library, tmp_path: Path) -> None:
    target = target_of(FERRY)
    FakeLLM.replies = [ASKED[FERRY]]
    with DraftFile(tmp_path / "drafts.jsonl", new=True) as file:
        file.add(target, propose(library, target))
        assert file.has(ASKED[FERRY].upper())
        assert file.has_target(target)
        assert not file.has(ASKED[GATE])


def test_drafts_are_written_by_one_process_at_a_time(library: Library, tmp_path: Path) -> None:
    file = tmp_path / "drafts.jsonl"
    row = {"question": "Who owns the moon?", "approved": False}
    file.write_text(json.dumps(row), "utf-8")
    (tmp_path / "link.jsonl").symlink_to(file)
    for name in ("drafts.jsonl", "link.jsonl"):
        with DraftFile(tmp_path / name, new=True):
            for command in (["approve", str(file)], ["draft", str(file)]):
                refused = run(library, *command)
                assert isinstance(refused.exception, Busy)
                assert f"has {file} open. Wait" in str(refused.exception)
        assert "1 left" in run(library, "approve", str(file), given="q\n").output
    with pytest.raises(NotFound):
        DraftFile(tmp_path / "no" / "drafts.jsonl")
    file.write_text("{", "utf-8")
    with pytest.raises(UsageError, match="line 1"):
        DraftFile(file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drafts.jsonl", "link.jsonl"]


def test_the_judge_has_a_say(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    target = next(target for target in draw(library.catalog) if target.sentence == FERRY)
    FakeLLM.replies = [ASKED[FERRY]]
    assert propose(library, target).wrong is None
    monkeypatch.setattr(type(library.answerer), "threshold", 1.01)
    FakeLLM.replies = [ASKED[FERRY]]
    assert propose(library, target).wrong == checks.NOT_ANSWERED


def test_without_an_llm_it_says_what_to_do(library: Library) -> None:
    before = library.current_llm.put(None)
    assert before is not None
    try:
        with pytest.raises(UsageError, match="cloister models use"):
            propose(library, next(draw(library.catalog)))
    finally:
        library.current_llm.restore(before)


def test_a_person_approves_and_goes_on_later(library: Library, tmp_path: Path) -> None:
    file = tmp_path / "drafts.jsonl"
    draft(library, file)
    with pytest.raises(UsageError, match="cloister questions approve"):
        read_questions(file)
    first = run(library, "approve", str(file), given="y\nq\n")
    assert first.exit_code == 0
    assert FERRY in first.output + run(library, "approve", str(file), given="s\ns\n").output
    assert "1 approved, 2 left to decide on" in first.output
    done = run(library, "approve", str(file), given="n\ne\nHow long are names kept?\n60 days\ny\n")
    assert "2 approved, 0 left to decide on" in done.output
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert [row["approved"] for row in rows] == [True, False, True]
    assert rows[1]["rejected"]
    assert (rows[2]["question"], rows[2]["answers"]) == ("How long are names kept?", ["60 days"])
    left_out: list[int] = []
    items = read_questions(file, left_out.append)
    assert [item.question for item in items] == [rows[0]["question"], rows[2]["question"]]
    assert left_out == [1]
    assert "0 left to decide" in run(library, "approve", str(file)).output


def test_nothing_is_approved_without_an_answer(library: Library, tmp_path: Path) -> None:
    file = tmp_path / "drafts.jsonl"
    draft(library, file)
    broken_off = run(library, "approve", str(file), given="y\n")
    assert broken_off.exit_code == 1
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert [row["approved"] for row in rows] == [True, False, False]
    assert run(library, "approve", str(file), "--all").exit_code == 2


def test_an_edit_that_is_another_draft_is_refused(library: Library, tmp_path: Path) -> None:
    file = tmp_path / "drafts.jsonl"
    draft(library, file)
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    given = f"e\n{rows[1]['question']}\nx\nq\n"
    done = run(library, "approve", str(file), given=given)
    assert "stands in the file already" in done.output
    assert [json.loads(line) for line in file.read_text("utf-8").splitlines()] == rows


def test_a_draft_with_little_in_it_is_gone_through_too(library: Library, tmp_path: Path) -> None:
    file = tmp_path / "drafts.jsonl"
    places = [{"source": "a.txt"}, {"source": "b.txt", "page": None, "quote": "So it is."}]
    given = [
        {"question": "Who owns the moon?", "approved": False},
        {"question": "Who owns the sun?", "answers": [], "evidence": places, "approved": False},
    ]
    file.write_text("\n".join(map(json.dumps, given)), "utf-8")
    done = run(library, "approve", str(file), given="e\n\nNobody\ny\ne\nWhose is it?\n\nn\n")
    assert done.exit_code == 0, done.output
    assert "answer: (none)" in done.output
    assert "  a.txt\n  b.txt: “So it is.”\n" in done.output
    first, second = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert (first["question"], first["answers"]) == ("Who owns the moon?", ["Nobody"])
    assert (second["question"], second["answers"]) == ("Whose is it?", [])
    assert (first["approved"], second["approved"]) == (True, False)


def test_what_a_draft_holds_does_nothing_to_the_terminal(library: Library, tmp_path: Path) -> None:
    file = tmp_path / "drafts.jsonl"
    acts = "\x1b[2J\x07"
    place = {"source": f"a{acts}.txt", "page": 1, "quote": f"Here{acts}."}
    row = {"question": f"Who{acts}?", "answers": [f"Nobody{acts}"], "evidence": [place]}
    file.write_text(json.dumps({**row, "approved": False}), "utf-8")
    done = CliRunner().invoke(
        questions, ["approve", str(file)], "e\n\n\ny\n", obj=library.settings, color=True
    )
    assert "1 approved" in done.output
    assert "\x1b[2J" not in done.output
    assert "\x07" not in done.output
    kept = json.loads(file.read_text("utf-8"))
    assert (kept["question"], kept["answers"]) == (row["question"], row["answers"])


def test_approved_drafts_become_examples(library: Library, tmp_path: Path) -> None:
    file, examples = tmp_path / "drafts.jsonl", tmp_path / "examples.jsonl"
    draft(library, file)
    run(library, "approve", str(file), given="y\ny\nn\n")
    extra = {"question": "Who owns the moon?", "answerable": False}
    gone = {"question": "Where is it?", "evidence": [{"source": "gone.txt", "quote": "Here."}]}
    with file.open("a", encoding="utf-8") as stream:
        stream.writelines(f"{json.dumps(row)}\n" for row in (extra, gone))
    done = run(library, "export", str(file), str(examples), "--json")
    assert json.loads(done.stdout) == {"written": 3, "left_out": 1}
    assert "1 draft that nobody approved is left out" in done.stderr
    found = read_examples(examples)
    approved = read_questions(file)
    for item, example in zip(approved[:2], found[:2], strict=True):
        (number,) = example.cited
        quote = item.evidence[0].quote
        assert quote in example.passages[number - 1].text
        assert example.answer == f"{quote[:-1]} [{number}]."
        assert example.document == item.evidence[0].source
    assert not found[2].answerable


def test_examples_are_searched_in_the_collection_that_a_question_names(
    library: Library, tmp_path: Path
) -> None:
    file, examples = tmp_path / "questions.jsonl", tmp_path / "examples.jsonl"
    create_collection(library.catalog, "empty")
    row = {"question": ASKED[FERRY], "answers": ["240"]}
    row |= {"evidence": [{"source": "0.txt", "quote": FERRY}]}
    for collection, written in (("default", 1), ("empty", 0)):
        file.write_text(json.dumps(row | {"collection": collection}), "utf-8")
        done = run(library, "export", str(file), str(examples), "--json")
        assert json.loads(done.stdout) == {"written": written, "left_out": 1 - written}
    file.write_text(json.dumps(row | {"collection": "north"}), "utf-8")
    done = run(library, "export", str(file), str(examples))
    assert isinstance(done.exception, UnknownCollection)
    assert "“north”" in str(done.exception)


def test_a_draft_keeps_its_collection_and_is_shown_with_it(
    library: Library, tmp_path: Path
) -> None:
    file = tmp_path / "drafts.jsonl"
    row = {"question": "Who?", "answers": ["me"], "collection": "north", "approved": False}
    file.write_text(json.dumps(row), "utf-8")
    done = run(library, "approve", str(file), given="e\nWho is it?\n\ny\n")
    assert "asked of the collection north" in done.output
    (item,) = read_questions(file)
    assert (item.question, item.collection) == ("Who is it?", "north")
    assert item.id == known_by("Who is it?", collection="north") != known_by("Who is it?")
