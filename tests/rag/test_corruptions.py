"""Small changes of sentences: each is what its name says, the same each time, or is left out."""

from __future__ import annotations

import pytest

from rag.evaluation.corruptions import FAITHFUL, FALSE, Stated, changes

TEXT = (
    "In March, the crew (three people) painted 12 boats for Anna Berg if the harbour was dry. "
    "Tom Hill reports to Anna Berg before each trip. The dock may be closed within 5 days. "
    "Guests must not feed the gulls. The old crane was sold to a museum, which paid 900 euros."
)


def _change(kind: str, sentence: str, seed: int = 1, others: tuple[str, ...] = ()) -> str | None:
    return dict(changes(Stated(sentence, TEXT, others), seed)).get(kind)


@pytest.mark.parametrize(
    ("kind", "sentence", "changed"),
    [
        ("shortened", "The crew (three people) painted 12 boats.", "The crew painted 12 boats."),
        (
            "shortened",
            "The old crane was sold to a museum, which paid 900 euros.",
            "The old crane was sold to a museum.",
        ),
        (
            "opening phrase at the end",
            "In March, the crew painted boats.",
            "The crew painted boats in March.",
        ),
        ("number written otherwise", "There are three people.", "There are 3 people."),
        ("number written otherwise", "It is closed for 5 days.", "It is closed for five days."),
        (
            "two names exchanged",
            "Tom Hill reports to Anna Berg before each trip.",
            "Anna Berg reports to Tom Hill before each trip.",
        ),
        (
            "two numbers exchanged",
            "The fee is 30 euros for adults and 20 for children.",
            "The fee is 20 euros for adults and 30 for children.",
        ),
        ("limiting word left out", "It is only paid by guests.", "It is paid by guests."),
        ("limiting word left out", "Until 2020, the dock was dry.", "The dock was dry."),
        ("limiting word left out", "The dock is open until 31 March.", "The dock is open."),
        ("limiting word left out", "Guests rarely pay a fee.", "Guests pay a fee."),
        ("negation added", "The dock may be closed soon.", "The dock may not be closed soon."),
        ("negation taken out", "Guests must not feed the gulls.", "Guests must feed the gulls."),
        ("negation taken out", "The dock cannot be closed.", "The dock can be closed."),
        (
            "may be, taken for granted",
            "The dock may be closed within 5 days.",
            "The dock is closed within 5 days.",
        ),
        ("another unit", "It takes 5 days at most.", "It takes 5 weeks at most."),
        ("to for by or from", "It is paid by the guests.", "It is paid to the guests."),
        ("the opposite", "He reports before each trip.", "He reports after each trip."),
        (
            "condition left out",
            "The crew painted 12 boats if the harbour was dry.",
            "The crew painted 12 boats.",
        ),
    ],
)
def test_a_change_is_what_it_is_called(kind: str, sentence: str, changed: str) -> None:
    assert _change(kind, sentence) == changed


def test_what_is_put_in_is_from_the_text_or_nowhere_in_it() -> None:
    sentence = "The crew painted 12 boats for Anna Berg."
    number = _change("another number", sentence)
    assert number is not None
    assert number != sentence
    assert "12" not in number
    assert _change("number of another place", sentence) in {
        sentence.replace("12", other) for other in ("5", "900")
    }
    assert _change("name of another place", sentence) in {
        sentence.replace("Anna Berg", other) for other in ("Tom Hill", "Guests")
    }
    assert _change("another word", sentence, others=("elephant",)) in {
        sentence.replace(word, "elephant") for word in ("painted", "boats")
    }
    crossed = _change("said of something else", "The crane was heavy and quite rusty.")
    assert crossed is None  # nothing else of the text has that verb and another subject
    assert _change("said of something else", "Guests may swim in the bay.") == (
        "Guests may be closed within 5 days."
    )


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("shortened", "The crew (not the guests) painted 12 boats there."),
        ("opening phrase at the end", "In March, the crew did not paint boats."),
        ("two names exchanged", "It was Tom and Anna who came."),
        ("two numbers exchanged", "It takes between 5 and 7 days."),
        ("two numbers exchanged", "It takes 5 days in summer and 5 days in winter."),
        ("limiting word left out", "It is not only paid but praised."),
        ("negation added", "The dock may not be closed."),
        ("another unit", "It is closed."),
        ("condition left out", "They asked if the harbour was dry."),
        ("another number", "No number is here."),
        ("to for by or from", "It is up to the guests who come to swim."),
    ],
)
def test_what_cannot_be_changed_so_is_left_out(kind: str, sentence: str) -> None:
    assert _change(kind, sentence) is None


def test_changes_are_the_same_each_time_and_each_of_one_kind() -> None:
    stated = Stated("The crew painted 12 boats for Anna Berg within 5 days.", TEXT, ("elephant",))
    assert list(changes(stated, 3)) == list(changes(stated, 3))
    assert any(dict(changes(stated, 3)) != dict(changes(stated, n)) for n in range(4, 20))
    assert not {*FAITHFUL} & {*FALSE}
    assert all(text not in TEXT and text != stated.sentence for _, text in changes(stated, 3))
