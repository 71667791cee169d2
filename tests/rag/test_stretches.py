"""Which stretches of a text may stand as an answer, and what speaks against one."""

from __future__ import annotations

import pytest

from rag.answer_events import quoted
from rag.evidence import LONGEST_QUOTE, Span, passage_sentences
from rag.records import Passage
from rag.replies import is_repeated
from rag.setbacks import SHOWS_NOTHING, setbacks
from rag.stretches import answer_start, stands_alone, stretches


def passage(text: str, source: str = "a.md", context: str = "") -> Passage:
    return Passage("c", "d", "A", source, 1, 0, len(text), text, 1.0, context=context)


def texts(text: str) -> list[str]:
    return [span.text for span in stretches(passage(text))]


def only(text: str, line: str) -> Span:
    (found,) = [span for span in passage_sentences(passage(text)) if span.text == line]
    return found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ما هي المدة؟ عشرة أيام.", ["ما هي المدة؟ عشرة أيام."]),
        ("### Is it encrypted?\n\nYes.\n\nMore.", ["Is it encrypted?\n\nYes.", "More."]),
        ("**May guests print?** No, never.", ["May guests print?** No, never."]),
        ("1. Who prints?\nThe Kestrel.\n2. Why?\nSo.", ["Who prints?\nThe Kestrel.", "Why?\nSo."]),
        ("Is it?\n## Another part\nText.", ["Is it?", "## Another part", "Text."]),
        ("Is it? Was it? It was.", ["Is it?", "Was it? It was."]),
        ("It is. Is it?", ["It is.", "Is it?"]),
        ("Why?\nOne.\n\nTwo.", ["Why?\nOne.", "Two."]),
        ("？", ["？"]),
        ("", []),
    ],
)
def test_a_question_goes_with_what_answers_it(text: str, found: list[str]) -> None:
    assert texts(text) == found


def test_of_a_long_answer_only_the_beginning_goes_with_its_question() -> None:
    sentence = "This is a sentence of some forty letters. "
    first, *rest = texts("Why? " + sentence * 20)
    assert first.startswith("Why? This")
    assert len(first) < 200
    assert len(rest) > 10
    assert all(one == sentence.strip() for one in rest)
    huge = texts("Why? " + "Word " * LONGEST_QUOTE + ".")
    assert huge[0] == "Why?"


def test_the_answer_begins_behind_the_question() -> None:
    (span,) = stretches(passage("## Is it? Yes."))
    assert span.passage.text[answer_start(span) : span.end].strip() == "Yes."
    for text in ("It is.", "Is it?"):
        (span,) = stretches(passage(text))
        assert answer_start(span) == span.start


TABLE = "| Place | Limit |\n| --- | --- |\n| Oslo | 180 |\n| Rome | 150 |"


@pytest.mark.parametrize(
    ("line", "alone"),
    [
        ("Excused: Tom Reilly", True),
        ("Chair: Ann", True),
        ("Lunch is free.", True),
        ("Opening hours", False),
        ("# The data retention policy of 2023", False),
        ("# Refunds are paid within two weeks.", True),
        ("契約は自動更新されます。", True),
        ("年假由部门经理批准", True),
        ("契約期間", False),
        ("Anna Weber, CEO", False),
        ("1" * 100 + "x", True),
        ("## Opening hours: 9 to 17", True),
        ("Is lunch free for all of us?", False),
        ("Room 12", True),
        ("3. Rooms", False),
        ("Yes.", False),
    ],
)
def test_what_says_something_by_itself(line: str, alone: bool) -> None:
    assert stands_alone(only(line, line)) is alone


def test_the_header_of_a_table_says_nothing_by_itself() -> None:
    spans = passage_sentences(passage(TABLE))
    assert [stands_alone(span) for span in spans] == [False, False, True, True]


def lost(question: str, text: str, source: str = "a.md") -> list[float]:
    spans = passage_sentences(passage(text, source))
    return [float(one) for one in setbacks(question, spans, [span.text for span in spans])]


def test_a_stretch_about_another_item_comes_behind() -> None:
    text = "The KP-200 costs 100 euros. The KP-400 costs 200 euros. Both cost less in May."
    first, second, third = lost("What does the KP-400 cost?", text)
    assert first > second == third == 0
    assert lost("What does the KP-900 cost?", text) == [0, 0, 0]


@pytest.mark.parametrize(
    ("question", "compares"),
    [
        ("Which place has the highest limit?", True),
        ("Which is cheaper, Oslo or Rome?", True),
        ("Welcher Ort hat das höchste Limit?", True),
        ("Which is the most expensive place?", True),
        ("What is the limit in Oslo?", False),
        ("Whom do I ask for the latest list, at least in Oslo?", False),
        ("Is the limit higher in summer?", False),
    ],
)
def test_one_row_does_not_show_that_it_has_the_most(question: str, compares: bool) -> None:
    assert (lost(question, TABLE)[2] >= SHOWS_NOTHING) is compares
    prose = "The highest limit of all places is that of Oslo."
    assert lost(question, prose) == [0]


def test_what_only_says_little_is_not_taken_for_no_answer() -> None:
    said, short, question = lost(
        "Who leads?", "Ann leads all of it.\n\nAnna Weber, CEO\n\nWho leads?"
    )
    assert 0 == said < short < SHOWS_NOTHING < question


def test_a_row_with_a_bound_may_be_the_most() -> None:
    table = "| What | How much |\n| --- | --- |\n| Notice period, at most | 6 months |"
    assert lost("What is the longest notice period?", table)[-1] == 0
    discounts = "| Kind | Discount |\n| --- | --- |\n| Larger orders | 10 % |"
    assert lost("What discount is there for larger orders or subscriptions?", discounts)[-1] == 0


def test_a_time_or_a_successor_is_no_other_item() -> None:
    text = "Gate B2 opens late. It opens at 10AM on each day."
    assert lost("When does gate B2 open?", text)[1] == 0
    text = "Form E101 was replaced. Since then form A1 is used by all."
    assert lost("Which form replaces E101?", text)[1] == 0


def test_a_row_that_says_so_does() -> None:
    table = TABLE + "\n| highest: Oslo | 180 |"
    assert lost("Which is the highest limit?", table)[-1] == 0


MAIL = "It is put off to 27 May.\n\n> It is on 20 May,\n> as you know. Come all.\n\nBest, Ann"


def test_what_a_mail_repeats_is_another_one_s() -> None:
    spans = passage_sentences(passage(MAIL, "m.eml"))
    told = {span.text.replace("\n", " "): is_repeated(span) for span in spans}
    assert told == {
        "It is put off to 27 May.": False,
        "> It is on 20 May,": True,
        "> as you know.": True,
        "Come all.": True,
        "Best, Ann": False,
    }
    assert not any(is_repeated(span) for span in passage_sentences(passage(MAIL, "m.md")))
    first, repeated, *_ = lost("When is it?", MAIL, "m.eml")
    assert repeated > first == 0


@pytest.mark.parametrize(
    "line",
    [
        "-----Original Message-----",
        "-----Ursprüngliche Nachricht-----",
        "On 4 May 2025 at 10:00, Ann <ann@example.com> wrote:",
        "On 4 May 2025 Ann Berg wrote:",
        "Am 04.05.2025 um 10:00 schrieb Ann Berg:",
        "Le 4 mai 2025 à 10:00, Ann a écrit :",
    ],
)
def test_below_such_a_line_all_is_repeated(line: str) -> None:
    text = f"It is off.\n\n{line}\n\nIt is on. Come all."
    found = [is_repeated(span) for span in passage_sentences(passage(text, "m.msg"))]
    assert (found[0], found[-2:]) == (False, [True, True])
    below = passage("It is on.", "m.eml", f"Subject > {line}")
    assert all(map(is_repeated, passage_sentences(below)))


def test_what_somebody_else_wrote_is_told_by_the_sender() -> None:
    text = "On page 5 the auditor wrote:\n\nAll is well. I approve the budget."
    assert not any(map(is_repeated, passage_sentences(passage(text, "m.eml"))))


def test_a_mail_s_own_headers_are_not_repeated() -> None:
    text = "From: Ann\nTo: Bob\nDate: Mon, 4 May 2025\n\nIt is off."
    assert not any(map(is_repeated, passage_sentences(passage(text, "m.eml", "Subject"))))
    below = passage("It is on.", "m.eml", "Subject > From: Ann")
    assert all(map(is_repeated, passage_sentences(below)))


def test_a_reply_below_what_it_repeats_is_the_sender_s() -> None:
    text = "On 4 May 2025 Ann Berg wrote:\n> It is on.\n\nIt is off."
    spans = passage_sentences(passage(text, "m.eml", "Wrote: a subject"))
    assert [is_repeated(span) for span in spans if ">" in span.text or "off" in span.text] == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("text", "source", "shown"),
    [
        ("### Fees and **limits**", "a.md", "Fees and limits"),
        ("May guests print?** No.", "a.md", "May guests print? No."),
        ("> It is off.", "m.eml", "It is off."),
        ("> 500 EUR: the CFO approves.", "m.eml", "> 500 EUR: the CFO approves."),
        ("> It is off.", "a.md", "> It is off."),
        ("It is 2**10 bytes large.", "a.md", "It is 2**10 bytes large."),
        (
            "src/**/*.py and def f(*args, **kwargs)",
            "a.md",
            "src/**/*.py and def f(*args, **kwargs)",
        ),
        ("# 20 seats", "a.md", "# 20 seats"),
        ("```bash\nls\n```", "a.md", "ls"),
        ("```", "a.md", "```"),
    ],
)
def test_marks_that_mean_nothing_are_not_shown(text: str, source: str, shown: str) -> None:
    assert quoted(Span(passage(text, source), 0, len(text))) == shown
