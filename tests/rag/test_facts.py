"""Numbers, names, negations and the kind of answer a question wants."""

from __future__ import annotations

import pytest

from rag.facts import (
    codes,
    first_of_kind,
    measured,
    names,
    negations,
    numbers,
    shows_kind,
    wanted_kind,
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1,200 or 1.200 or 1 200 or 1'200", {"1200"}),
        ("3.50 EUR and 3,5 EUR", {"3.5"}),
        ("five people, 007, 31 March 2025", {"5", "7", "31", "2025"}),
        ("none", set()),
        ("0.125 mg, 0.050 mg", {"0.125", "0.050"}),
        ("Python 3.10, 3.1 and 1.2.3", {"3.10", "3.1", "1.2.3"}),
        ("-18 degrees, 5-10 days", {"-18", "5", "10"}),
        ("1/2 day, 2½ days, 04/03/2026, 2025-07-01", {"1/2", "2½", "04/03/2026", "2025-07-01"}),
        ("twenty-eight weeks, in 2024 30 days", {"28", "2024", "30"}),
        (
            "5 million, 1.5 million, 2,5 Mio. and 5 billion",
            {"5000000", "1500000", "2500000", "5000000000"},
        ),
    ],
)
def test_numbers_are_compared_by_value(text: str, found: set[str]) -> None:
    assert numbers(text) == found


def test_an_amount_has_its_currency_or_per_cent() -> None:
    assert measured("$500, 500 EUR, 5 per cent, 5% and 7 days") == {
        ("500", "$"),
        ("500", "€"),
        ("5", "%"),
        ("7", ""),
    }


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The director Niamh Carrow left the EU. Then she rested.", ["niamh", "carrow", "EU"]),
        ("It was signed by Dr. Weber.", ["dr", "weber"]),
        ("Leave may be taken in May.", ["May"]),
        ("Ask the US team, or us, for group A or a pump.", ["US", "A"]),
        ("- Weber approves it\n- Schmidt does not", []),
    ],
)
def test_names_are_capitals_within_a_sentence(text: str, found: list[str]) -> None:
    assert names(text) == found


def test_codes_are_names_with_numbers() -> None:
    assert codes("the KP-400, KP 400 and a 40B model of 2025") == {"KP400", "40B"}


@pytest.mark.parametrize(
    "text",
    ["do not", "don't", "never", "nicht", "keine", "ne … pas", "nobody", "unless", "non", "geen"],
)
def test_negations(text: str) -> None:
    assert negations(text) == 1
    assert negations("a notable nothingness under rule No. 3 and no 4") == 0
    assert negations(f"without a badge {text}") == 2


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
