"""Votes between two models' answers: what is kept, what they come to, what they are used for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rag.catalog.answers import record_answer
from rag.catalog.documents import remove
from rag.catalog.feedback import rate
from rag.catalog.votes import Vote, cast_vote, model_of, vote_on, votes
from rag.commands.feedback import feedback
from rag.errors import NotFound, UsageError
from rag.evaluation.rated import question_rows, rated
from rag.evaluation.votes import sign_test, tally
from rag.records import Answer, ModelInfo, Question
from rag.settings import Settings
from tests.web import fakes
from tests.web.fakes import FakeLibrary

ONE, TWO = ModelInfo("one", "0123456789abcdef", "cpu"), ModelInfo("two", "", "cpu", "tuned@99")


@pytest.fixture
def library(tmp_path: Path) -> Any:
    library = FakeLibrary(Settings(home=tmp_path))
    library.add()
    yield library
    library.close()


def answer(library: FakeLibrary, name: str, model: ModelInfo, question: str = "How many?") -> str:
    """Record an answer of a model; its id."""
    plain: Answer = fakes._answer(Question(question), library._passages(), library)
    assert record_answer(library.catalog, replace(plain, id=name, model=model))
    return name


@pytest.mark.parametrize(
    ("wins", "losses", "p"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 0.0625), (8, 2, 0.109375), (2, 8, 0.109375),
     (9, 1, 0.021484375), (5, 5, 1.0), (15, 5, 0.04138946533203125)],
    ids=["none", "one", "five", "eight", "turned", "nine", "even", "twenty"],
)  # fmt: skip
def test_the_sign_test_is_exact(wins: int, losses: int, p: float) -> None:
    assert sign_test(wins, losses) == pytest.approx(p, abs=1e-15)


@pytest.mark.parametrize(
    ("wins", "losses", "p"),
    [(1024, 0, 2.0**-1023), (2000, 2000, 1.0)],
    ids=["one-sided", "even"],
)
def test_the_sign_test_bears_thousands_of_votes(wins: int, losses: int, p: float) -> None:
    assert sign_test(wins, losses) == sign_test(losses, wins) == p
    assert 0.02 < sign_test(1050, 950) < 0.03
    assert sign_test(2000, 0) == 0.0


def test_a_vote_is_kept_and_may_change(library: FakeLibrary) -> None:
    first, second = answer(library, "ans_a", ONE), answer(library, "ans_b", TWO)
    cast = cast_vote(library.catalog, first, second, "first", 7)
    assert (cast.vote, cast.seed) == ("first", 7)
    assert vote_on(library.catalog, first, second) == cast
    # in the other order it is the same pair
    cast_vote(library.catalog, second, first, "both")
    assert vote_on(library.catalog, first, second) is None
    ((kept, record, _),) = votes(library.catalog)
    assert (kept.first, kept.vote, kept.seed) == (second, "both", None)
    assert model_of(record) == "two + tuned@99"


def test_only_two_models_answers_to_one_question_are_voted_on(library: FakeLibrary) -> None:
    first, second = answer(library, "ans_a", ONE), answer(library, "ans_b", TWO)
    other = answer(library, "ans_c", TWO, "How few?")
    same = answer(library, "ans_d", ONE)
    for pair, choice, said in (
        ((first, "gone"), "first", "no answer gone"),
        ((first, other), "first", "two questions"),
        ((first, same), "first", "by one@0123456789ab"),
        ((first, first), "first", "by one"),
        ((first, second), "perhaps", "vote is"),
    ):
        with pytest.raises((UsageError, NotFound), match=said):
            cast_vote(library.catalog, *pair, choice)
    assert list(votes(library.catalog)) == []


def test_a_vote_goes_with_the_documents_of_either_answer(library: FakeLibrary) -> None:
    first, second = answer(library, "ans_a", ONE), answer(library, "ans_b", TWO)
    cast_vote(library.catalog, first, second, "second")
    remove(library.catalog, library._passages()[0].document_id)
    assert list(votes(library.catalog)) == []
    assert vote_on(library.catalog, first, second) is None


def test_the_tally_is_by_pair_whichever_was_shown_first() -> None:
    one = {"model": {"id": "one", "revision": "", "device": "cpu"}}
    two = {"model": {"id": "two", "revision": "", "device": "cpu", "adapter": None}}
    none = {"model": {"id": "none", "revision": "", "device": "none"}}

    def vote(choice: Any) -> Vote:
        return Vote("a", "b", choice, "")

    cast = [
        *[(vote("first"), one, two)] * 4,
        *[(vote("second"), two, one)] * 4,
        (vote("first"), two, one),
        (vote("second"), one, two),
        (vote("both"), two, one),
        (vote("neither"), one, two),
        (vote("first"), none, two),
    ]
    most, least = tally(cast)
    assert (most.first, most.second) == ("one", "two")
    assert (most.first_better, most.second_better, most.both, most.neither) == (8, 2, 1, 1)
    assert most.p == pytest.approx(0.109375)
    assert (least.first, least.second, least.first_better) == ("none", "two", 1)


def test_the_command_tells_it(library: FakeLibrary) -> None:
    first, second = answer(library, "ans_a", ONE), answer(library, "ans_b", TWO)
    cast_vote(library.catalog, first, second, "second")

    def run(*words: str) -> str:
        settings = Settings(home=library.settings.home)
        return CliRunner().invoke(feedback, list(words), obj=settings).stdout

    shown = run("votes")
    assert "two + tuned@99 better: 1\n" in shown
    assert "one@0123456789ab better: 0\n" in shown
    (pair,) = json.loads(run("votes", "--json"))["pairs"]
    assert (pair["second_better"], pair["p"]) == (1, 1.0)


def test_what_was_voted_right_is_a_question(library: FakeLibrary) -> None:
    first, second = answer(library, "ans_a", ONE), answer(library, "ans_b", TWO)
    cast_vote(library.catalog, first, second, "first")
    assert question_rows(rated(library.catalog))[0] == []
    cast_vote(library.catalog, first, second, "both")
    ((row,), left_out) = question_rows(rated(library.catalog))
    assert row["question"] == "How many?"
    assert row["answerable"]
    assert not left_out
    # what was said of an answer itself counts more
    rate(library.catalog, first, "wrong", correct_answer="six")
    ((row,), _) = question_rows(rated(library.catalog))
    assert row["answers"] == ["six"]
