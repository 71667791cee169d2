"""Numbers in figures and in words, with what they count."""

from __future__ import annotations

import pytest

from rag.numbers import measured, numbers


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


def test_an_amount_has_its_currency_or_unit() -> None:
    assert measured("$500, 500 EUR, 5 per cent, 5% and a 7-day week of 7 people") == {
        ("500", "$"),
        ("500", "€"),
        ("5", "%"),
        ("7", "day"),
        ("7", ""),
    }
    assert measured("9 hours") == measured("nine hrs") == measured("9 Stunden")
    assert measured("9 hours") != measured("9 minutes")
