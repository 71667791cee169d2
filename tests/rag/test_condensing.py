"""Follow-ups are read with what came before; questions that stand alone are left alone."""

from __future__ import annotations

import pytest

from rag.condensing import condense, depends
from rag.drafting import Draft, clean
from rag.records import Turn


@pytest.mark.parametrize(
    "question",
    [
        "And for managers?",
        "How much is it?",
        "Und in Lübeck?",
        "Why?",
        "How long?",
        "By when did that have to be finished?",
        "How early do I need to ask for that?",
        "Ok and when does the next one start?",
        "Who looks after the second one?",
        "What do they get for working on Sundays?",
    ],
)
def test_a_follow_up_depends(question: str) -> None:
    assert depends(question)


@pytest.mark.parametrize(
    "question",
    [
        "How many days of leave do employees get each year?",
        "What is the CEO's salary?",
        "What is the hotel limit?",
        "Who approves travel?",
        "Is there a dress code in the workshop for visitors?",
        "What is the largest attachment that gets through?",
        "How much did it cost to paint the hall?",
        "How many people were hired this year?",
        "If a visitor loses the badge that reception handed out, whom do I tell about it?",
    ],
)
def test_a_question_of_its_own_does_not(question: str) -> None:
    assert not depends(question)


def test_what_would_grow_too_long_leaves_the_history_out() -> None:
    history = [Turn("What is the limit? " * 40, "…")]
    assert condense("And in London?", history, 500) == "And in London?"
    assert condense("And in London?", history, 2000).startswith("What is the limit?")


def test_the_question_before_comes_first_along_the_chain() -> None:
    history = [
        Turn("What is the hotel limit in Oslo?", "180 euros"),
        Turn("And with breakfast?", "190 euros"),
    ]
    assert condense("And without tax?", history) == (
        "What is the hotel limit in Oslo? And with breakfast? And without tax?"
    )
    assert condense("Who leads the purchasing department now?", history) == (
        "Who leads the purchasing department now?"
    )


def test_a_draft_gives_each_sentence_once_when_it_is_finished() -> None:
    draft, taken = Draft(), []
    for piece in ["Answer: Five da", "ys [1]. The 2.5 t", "on truck is", " red. And"]:
        draft.add(piece)
        taken.append(draft.take())
    assert taken == [[], ["Five days."], [], ["The 2.5 ton truck is red."]]
    assert draft.take(last=True) == ["And"]
    assert draft.take(last=True) == []


def test_citation_marks_of_the_model_s_own_are_dropped() -> None:
    assert clean("It is five [1, 2] days (passage 3).") == "It is five days."
    assert clean(" [1] ") == ""
