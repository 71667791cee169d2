"""Follow-ups that put another name in the place of the one asked about before."""

from __future__ import annotations

import pytest

from rag.condensing import asked_last, condense
from rag.ellipsis import filled
from rag.records import Turn

LIMIT = "What is the hotel limit in Paris?"


@pytest.mark.parametrize(
    ("before", "question", "whole"),
    [
        (LIMIT, "And in Japan?", "What is the hotel limit in Japan?"),
        (LIMIT, "ok, what about New York?", "What is the hotel limit in New York?"),
        ("How old is Ann Berg?", "And for Bob Clay?", "How old is Bob Clay?"),
        ("When was GM-1 built?", "And PM-1?", "When was PM-1 built?"),
        ("How big is Falcon 7B?", "What about the 40B version?", "How big is Falcon 40B?"),
        ("What did we earn in 2024?", "And in 2023?", "What did we earn in 2023?"),
        ("Wie hoch ist das Limit in Paris?", "Und in Wien?", "Wie hoch ist das Limit in Wien?"),
        ("Who signed for Acme in Paris?", "And in London?", "Who signed for Acme in London?"),
    ],
)
def test_a_name_takes_the_place_of_another(before: str, question: str, whole: str) -> None:
    assert filled(question, before) == whole


@pytest.mark.parametrize(
    ("before", "question"),
    [
        (LIMIT, "And the daily allowance?"),
        (LIMIT, "And how much is it in Japan?"),
        (LIMIT, "And with breakfast in Japan?"),
        (LIMIT, "In Japan?"),
        (LIMIT, "And Why?"),
        ("What does Windows 10 require?", "And Windows 11?"),
        ("Was steht in Kapitel 2?", "Und in Kapitel 3?"),
        ("Who approves 500 EUR in Paris?", "And 800 in Rome?"),
        ("Wie lang ist die Probezeit?", "Und für Werkstudenten?"),
        ("What is the VAT rate?", "What about Germany?"),
        ("What is our SLA?", "And with Acme?"),
        ("When does London open?", "And Tuesday?"),
        (LIMIT, "And in 2024?"),
        (LIMIT, "And in Japan or China?"),
        ("Who leads Acme?", "And in Germany?"),
        ("What is the limit?", "And in Japan?"),
        ("Who signed for Acme and for Globex?", "And for Initech?"),
        ("Who is it?", "And?"),
        ("", "And in Japan?"),
    ],
)
def test_what_is_unclear_is_left_as_it_is(before: str, question: str) -> None:
    assert filled(question, before) is None


def test_along_a_chain_the_last_name_counts_and_the_whole_is_asked() -> None:
    history = [Turn(LIMIT, "190 euros"), Turn("And in Japan?", "195 euros")]
    whole = condense("And in China?", history)
    assert whole == "What is the hotel limit in China?"
    assert asked_last("And in China?", whole) == whole
    longer = condense("And for the team of Ann?", history)
    assert longer == "What is the hotel limit in Japan? And for the team of Ann?"
    assert asked_last("And for the team of Ann?", longer) == "And for the team of Ann?"
