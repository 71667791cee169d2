"""Numbers, names, negations and the kind of answer a question wants."""

from __future__ import annotations

import pytest

from rag.facts import codes, names, negated, numbers, shows_kind, wanted_kind


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1,200 or 1.200 or 1 200 or 1'200", {"1200"}),
        ("3.50 EUR and 3,5 EUR", {"3.5"}),
        ("five people, 007, 31 March 2025", {"5", "7", "31", "2025"}),
        ("none", set()),
    ],
)
def test_numbers_are_compared_by_value(text: str, found: set[str]) -> None:
    assert numbers(text) == found


def test_names_are_capitals_within_a_sentence() -> None:
    assert names("The director Niamh Carrow left the EU. Then she rested.") == {
        "niamh",
        "carrow",
        "eu",
    }


def test_codes_are_names_with_numbers() -> None:
    assert codes("the KP-400, KP 400 and a 40B model of 2025") == {"KP400", "40B"}


@pytest.mark.parametrize("text", ["do not", "don't", "never", "nicht", "keine", "ne … pas"])
def test_negations(text: str) -> None:
    assert negated(text)
    assert not negated("a notable nothingness")


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("How much does a pump cost?", "money"),
        ("What is the price of a pump?", "money"),
        ("How many days may I carry over?", "number"),
        ("When is the deadline?", "date"),
        ("Who signs the contract?", "person"),
        ("How long is the notice period?", "duration"),
        ("Wie viele Tage?", "number"),
        ("Is smoking allowed?", "yes_no"),
        ("Why was the meeting moved?", "other"),
    ],
)
def test_the_kind_of_answer(question: str, kind: str) -> None:
    assert wanted_kind(question) == kind


def test_a_text_shows_a_kind_or_not() -> None:
    assert shows_kind("It costs 35 euros.", "money") is True
    assert shows_kind("It is dear.", "money") is False
    assert shows_kind("It is dear.", "other") is None
