"""The kind of answer that a question wants."""

from __future__ import annotations

import pytest

from rag.kinds import first_of_kind, shows_kind, wanted_kind


def test_the_first_of_a_kind_is_whole() -> None:
    ten = first_of_kind("Staff may carry over 1,200 hours.", "number")
    month = first_of_kind("You may carry it over until March.", "date")
    assert ten
    assert ten.group() == "1,200"
    assert month
    assert month.group() == "March"


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
