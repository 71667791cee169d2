"""The short answer: what the reader found, whole and without marks."""

from __future__ import annotations

import pytest

from rag.answerability import Evidence
from rag.evidence import Span
from rag.records import Passage
from rag.short_answer import short_answer


def told(question: str, text: str, read: str, quotes: list[str] | None = None) -> str | None:
    passage = Passage("c", "d", "A", "a.md", 1, 0, len(text), text, 1.0)
    evidence = Evidence((Span(passage, 0, len(text)),), (read,), {})
    return short_answer(question, [text] if quotes is None else quotes, evidence)


@pytest.mark.parametrize(
    ("text", "read", "whole"),
    [
        ("Write to ann.berg@example.com today.", "ann", "ann.berg@example.com"),
        ("Phone +49 3641 55 20 18, room 3", "3641", "+49 3641 55 20 18"),
        ("See https://example.com/help.", "example", "https://example.com/help"),
        ("Höchstens 42 Tage", "Tag", "Tage"),
        ("In 2024 there were 300 of them.", "2024", "2024"),
        ("A term of 24-month length", "24", "24"),
        ("```bash\nsystemctl stop it\n```", "```bash\nsystemctl", "systemctl"),
        ("**Ann Berg** leads it", "**Ann Berg", "Ann Berg"),
        ("It is not allowed (at all).", "not", None),
        ("It is not allowed (at all).", ")", None),
        ("It works down to -20 °C.", "-20 °C", "-20 °C"),
        ("That is for > 5 years.", "> 5 years", "> 5 years"),
        ("- Ann Berg leads it", "- Ann Berg", "Ann Berg"),
        ("It is written in C#, and only so.", "C#", "C#"),
        ("Rooms 101 102 103 104 are free.", "103", "103"),
        ("It is not allowed.", "", None),
    ],
)
def test_it_is_whole_and_without_marks(text: str, read: str, whole: str | None) -> None:
    assert told("What about it?", text, read) == whole


@pytest.mark.parametrize(
    ("question", "text", "read", "short"),
    [
        ("May guests print?", "May guests print?\nNo, never.", "never", "No, never"),
        ("Is there a pension?", "Is there one?** Yes. You may join.", "join", "Yes"),
        ("Gibt es das? Is it so?", "Ja, ab Mai.", "ab Mai", "ab Mai"),
        ("Is it on the ground floor?", "It is on the first floor.", "first", "first"),
        ("Is it allowed?", "No. 5 of the rules allows it.", "rules", "rules"),
        ("Is it in Rome?", "Yes, Berlin and Rome have it.", "Rome", "Yes"),
        ("Is it far?", "No one knows how far it is.", "far", "far"),
        ("Who prints?", "Who prints?\nNo, nobody.", "nobody", "nobody"),
    ],
)
def test_a_yes_or_no_comes_first(question: str, text: str, read: str, short: str) -> None:
    assert told(question, text, read) == short


def test_it_stands_in_what_is_quoted() -> None:
    assert told("How many days?", "It takes five days.", "five days", ["It takes 3 days."]) == "3"
