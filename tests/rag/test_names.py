"""Names and codes in a text."""

from __future__ import annotations

import pytest

from rag.names import codes, names


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
