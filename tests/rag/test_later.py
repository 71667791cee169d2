"""What a later document of a series says of the same, as the next meeting's minutes, is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rag.disagreement import introduced
from rag.library import Library
from rag.records import Question, Turn
from rag.testing import FakeLLM, fake_library
from tests.ingest.reading import add_text, read_all

ASKED = "To how many days a week is remote work limited?"
FIRST = "Minutes of the board\n\nRemote work is limited to two days a week from now on."
LATER = "Minutes of the board\n\nRemote work is possible on three days of each week from August on."
OTHER = "Minutes of the board\n\nThe new canteen opens in October, and lunch costs six euros."


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    FakeLLM.replies = []
    library = fake_library(tmp_path)
    add_text(library, "minutes_2025-02-04.txt", FIRST)
    yield library
    library.close()


def told(library: Library, question: str = ASKED, **asked: Any) -> list[tuple[str, str]]:
    """Source and quote of what is told beside the answer, which cites the first minutes."""
    read_all(library)
    (answer,) = (e.data for e in library.ask(Question(question, **asked)) if e.name == "done")
    assert answer["citations"][0]["source"] == "minutes_2025-02-04.txt"
    return [(one["source"], introduced(one)) for one in answer["disagreements"] if one["later"]]


def test_later_minutes_are_told(library: Library) -> None:
    add_text(library, "minutes_2025-06-17.txt", LATER)
    assert told(library) == [("minutes_2025-06-17.txt", "Later, minutes_2025-06-17 says")]


def test_of_several_the_newest_that_says_something_is_told(library: Library) -> None:
    add_text(library, "minutes_2025-03-11.txt", LATER.replace("three", "four"))
    add_text(library, "minutes_2025-06-17.txt", LATER)
    add_text(library, "minutes_2025-09-01.txt", OTHER)
    assert [source for source, _ in told(library)] == ["minutes_2025-06-17.txt"]


def test_what_is_earlier_about_something_else_or_the_same_is_not(library: Library) -> None:
    add_text(library, "minutes_2024-12-01.txt", LATER)
    add_text(library, "minutes_2025-04-01.txt", OTHER)
    add_text(library, "minutes_2025-05-01.txt", FIRST + "\n\nThe canteen opens in October.")
    assert told(library) == []


def test_where_a_year_or_what_was_before_is_asked_for_nothing_is(library: Library) -> None:
    add_text(library, "minutes_2026-06-17.txt", LATER)
    assert told(library)
    assert told(library, "To how many days a week was remote work limited in 2025?") == []
    assert told(library, "To how many days a week was remote work formerly limited?") == []


def test_a_question_that_needs_the_one_before_is_too_unclear(library: Library) -> None:
    add_text(library, "minutes_2025-06-17.txt", LATER)
    history = (Turn(ASKED, "Two days."),)
    assert told(library, "And to how many days is it limited?", history=history) == []
