"""Pairs of sentences that say the same thing, and whether they give another value."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rag import statements
from rag.disagreeing import counterpart
from rag.evidence import passage_sentences
from rag.records import Passage
from rag.statements import Statement, conflict, likeness

OTHERWISE = {
    "an amount": (
        "The hotel limit is 120 euros per night including breakfast.",
        "The hotel limit is 145 euros per night including breakfast.",
        "number",
    ),
    "an amount beside other words": (
        "A travel advance of up to 400 euros can be obtained from the cash office.",
        "A travel advance of up to 600 euros can be requested five working days before departure.",
        "number",
    ),
    "an amount in words": (
        "Flights are booked at least ten days ahead through the travel desk.",
        "Flights are booked at least 14 days ahead through the travel desk.",
        "number",
    ),
    "a time": (
        "All servers are backed up every night at 22:30.",
        "All servers are backed up every night at 21:00.",
        "number",
    ),
    "a day": (
        "Unused leave may be carried over until 31 March of the next year.",
        "Unused leave may be carried over until 30 June of the next year.",
        "date",
    ),
    "a day in figures": (
        "The contract with the cleaning firm ends on 2025-12-31.",
        "The contract with the cleaning firm ends on 30.6.2026.",
        "date",
    ),
    "how often": (
        "A restore test is carried out once a year, in November.",
        "A restore test is carried out every quarter.",
        "interval",
    ),
    "a name": (
        "The contact for travel questions is Anna Kowalska.",
        "The contact for travel questions is Piotr Nowak.",
        "name",
    ),
    "a weekday": (
        "The second copy is carried to the bank vault on Friday.",
        "The second copy is carried to the bank vault on Monday.",
        "name",
    ),
    "a code": (
        "Claims for the climate levy are booked on form KP-12.",
        "Claims for the climate levy are booked on form KP-14.",
        "name",
    ),
    "a negation": (
        "Laptops of the sales team are backed up at night.",
        "Laptops of the sales team are not backed up at night.",
        "negation",
    ),
    "a permission": (
        "Staff may take their laptops home at the weekend.",
        "Staff must take their laptops home at the weekend.",
        "limit",
    ),
    "a row": ("Paris | 165 euros", "Paris | 190 euros", "number"),
    "German": (
        "Reisekosten sind binnen 30 Tagen nach Ende der Reise abzurechnen.",
        "Reisekosten sind binnen 60 Tagen nach Ende der Reise abzurechnen.",
        "number",
    ),
}
ALIKE = {
    "the same": ("The limit is 120 euros per night.", "The limit is 120 euros per night."),
    "reworded": (
        "Claims are handed in within 30 days after the end of the trip.",
        "Within thirty days after the end of the trip, claims are to be handed in.",
    ),
    "another unit": (
        "Flights are booked at least 14 days ahead through the travel desk.",
        "Flights are booked at least two weeks ahead through the travel desk.",
    ),
    "another form of a time": (
        "The office in Lübeck closes at 6 pm.",
        "The office in Lübeck closes at 18:00.",
    ),
    "another form of a day": (
        "The contract with the cleaning firm ends on 31 December 2025.",
        "The contract with the cleaning firm ends on 2025-12-31.",
    ),
    "another form of an amount": (
        "A trip above EUR 1,500 needs the approval of the department head.",
        "A trip above 1500 euros needs the approval of the department head.",
    ),
    "more said": (
        "The hotel limit is 145 euros per night including breakfast.",
        "The hotel limit is 145 euros per night including breakfast, and 180 euros in Oslo.",
    ),
    "another section pointed to": (
        "Exceptions are decided by the board as described in section 7.",
        "Exceptions are decided by the board as described in section 9.",
    ),
    "another number of a heading": ("3 Hotels and lodging abroad", "5 Hotels and lodging abroad"),
    "a condition in other words": (
        "Private cars are used only when no pool car is free.",
        "A private car may be used if no pool car is free.",
    ),
    "an abbreviation": (
        "Requests for parental leave are sent to HR in writing.",
        "Requests for parental leave are sent to Human Resources in writing.",
    ),
    "another year's figure": (
        "In 2023 the cooperative had a turnover of 4.1 million euros.",
        "In 2024 the cooperative had a turnover of 4.6 million euros.",
    ),
    "German, another noun": (
        "Der Antrag ist beim Vorgesetzten schriftlich einzureichen.",
        "Der Antrag ist bei der Führungskraft schriftlich einzureichen.",
    ),
}
OF_ANOTHER_THING = {
    "another topic": ("Tea is free in all kitchens.", "The hotel limit is 145 euros per night."),
    "another row": ("Paris | 165 euros", "Hamburg | 140 euros"),
    "the same unit only": (
        "Hotels with a green label may cost ten euros more.",
        "The mileage allowance is 0.36 euros per kilometre.",
    ),
}


@pytest.mark.parametrize(("one", "other", "kind"), OTHERWISE.values(), ids=OTHERWISE.keys())
def test_another_value_is_found_whichever_comes_first(one: str, other: str, kind: str) -> None:
    assert likeness(Statement(one), Statement(other)) > 0
    assert likeness(Statement(one), Statement(other)) == likeness(Statement(other), Statement(one))
    assert conflict(one, other) == conflict(other, one) == kind


@pytest.mark.parametrize(("one", "other"), ALIKE.values(), ids=ALIKE.keys())
def test_what_is_worded_otherwise_or_says_more_agrees(one: str, other: str) -> None:
    assert conflict(one, other) is None
    assert conflict(other, one) is None


@pytest.mark.parametrize(("one", "other"), OF_ANOTHER_THING.values(), ids=OF_ANOTHER_THING.keys())
def test_sentences_about_something_else_are_not_compared(one: str, other: str) -> None:
    assert likeness(Statement(one), Statement(other)) == 0.0


def _place(name: str, text: str) -> Passage:
    return Passage(name, name, name, f"{name}.txt", 1, 0, len(text), text, 1.0)


def test_what_is_compared_of_a_sentence_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def counted(real: Callable[[str], object]) -> Callable[[str], object]:
        def found(text: str) -> object:
            seen.append(text)
            return real(text)

        return found

    for name in ("_frame", "_masked"):
        monkeypatch.setattr(statements, name, counted(getattr(statements, name)))
    rivals = [f"Parking at {city} is free." for city in ("Oslo", "Rome", "Bern", "Riga", "Graz")]
    limit = "The hotel limit is {} euros per night including breakfast."
    mine = _place("mine", "\n\n".join([limit.format(120), *rivals]))
    its = _place("its", "\n\n".join([*rivals, limit.format(145)]))
    (span, *_) = passage_sentences(mine)
    monkeypatch.setattr("rag.disagreeing.conflict", lambda *_: "number")
    found = counterpart(span, [its])
    assert found is not None
    assert found.text == limit.format(145)
    assert seen.count(span.text) <= 2  # its frame and its words, not those for each of the others
    assert len(seen) <= 2 * (1 + 6 + 1 + 5)


def test_a_row_of_many_figures_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    row = "The staff of the Oslo office by month: {}"
    mine = _place("mine", row.format(", ".join(str(n) for n in range(100, 160))))
    its = _place("its", row.format(", ".join(str(n) for n in range(200, 260))))
    (span,) = passage_sentences(mine)
    assert counterpart(span, [its]) is None
    few = _place("few", row.format("100, 101")), _place("less", row.format("200, 201"))
    (short,) = passage_sentences(few[0])
    assert counterpart(short, [few[1]]) is not None
    monkeypatch.setattr(statements, "_shares_a_run", lambda *_: pytest.fail("was compared"))
    assert counterpart(span, [its]) is None
