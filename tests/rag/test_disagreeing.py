"""Two versions of a document that disagree: the newer one answers, and both are told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from rag import answering
from rag.catalog import Catalog
from rag.catalog.answers import read_answer, record_answer
from rag.catalog.documents import remove
from rag.catalog.pages import read_page
from rag.catalog.schema import answers
from rag.commands.ask import _show
from rag.disagreeing import Versions
from rag.errors import NotFound
from rag.library import Library
from rag.reading.model import Reading
from rag.records import Answer, Filters, Question, to_json
from rag.replaying import replay
from rag.testing import FakeLLM, fake_library
from tests.ingest.reading import add_text, read_all

POLICY = """Purpose of this policy

This policy says what business trips may cost and who approves them in all of our offices.

Hotels and their limits

The hotel limit is {limit} euros per night including breakfast. Costs of a companion are never paid.

Claims and their time

Claims are handed in within {days} days after the end of the trip, to {name} in the front office.
"""
OLD = POLICY.format(limit=120, days=60, name="Anna Kowalska")
NEW = POLICY.format(limit=145, days=30, name="Anna Kowalska")
LIMIT = "What is the hotel limit per night including breakfast?"
COMPANION = f"{LIMIT} Are costs of a companion paid?"
AGREEMENT = """Service agreement

This agreement is made between Kestrel Weir and {party}, and covers the cleaning of the offices.

The invoice is due within {days} days after it was received. The notice period is {months} months.
"""
REPORT = """Annual report

The cooperative had {staff} employees at the end of the year. The turnover was {turnover} million
euros, and the board thanks all of the employees for their work in the year that has passed.
"""


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    FakeLLM.replies = []
    library = fake_library(tmp_path)
    yield library
    library.close()


def ask(library: Library, question: str, **asked: Any) -> Mapping[str, Any]:
    (answer,) = (e.data for e in library.ask(Question(question, **asked)) if e.name == "done")
    for told in answer["disagreements"]:
        page = read_page(library.catalog, told["document_id"], told["page"])
        assert page.text[told["start"] : told["end"]] == told["quote"]
        assert told["citation"] in [citation["n"] for citation in answer["citations"]]
    return answer


def add(library: Library, **texts: str) -> dict[str, str]:
    ids = {
        name: add_text(library, name.replace("__", "/") + ".txt", t) for name, t in texts.items()
    }
    read_all(library)
    return ids


@pytest.mark.parametrize("order", [("2024", "2025"), ("2025", "2024")], ids=["old", "new"])
def test_the_newer_version_answers_and_the_older_is_told(
    library: Library, order: tuple[str, str]
) -> None:
    for year in order:
        add(library, **{f"travel_policy_{year}": OLD if year == "2024" else NEW})
    FakeLLM.replies = ["The hotel limit is 120 euros per night including breakfast."]
    answer = ask(library, LIMIT)
    assert "145 euros" in answer["text"]
    assert "120 euros" not in answer["text"]
    assert answer["citations"][0]["source"] == "travel_policy_2025.txt"
    (told,) = answer["disagreements"]
    assert told["source"] == "travel_policy_2024.txt"
    assert told["quote"] == "The hotel limit is 120 euros per night including breakfast."
    assert (told["older"], told["dated"]) == (True, "2024")
    assert read_answer(library.catalog, answer["id"])["disagreements"] == answer["disagreements"]


def add_guides(library: Library) -> None:
    """Two versions of which COMPANION finds the older one first."""
    more = "Minibar, films, laundry, and drinks in the lobby are not refunded, nor is parking."
    add(library, guide_2025=NEW.replace("Costs of a companion are never paid.", more))
    add(library, guide_2024=OLD)


def change_record(
    library: Library, answer_id: str, change: Callable[[dict[str, Any]], object]
) -> None:
    record = dict(read_answer(library.catalog, answer_id))
    change(record)
    with library.catalog.write() as connection:
        row = update(answers).where(answers.c.id == answer_id)
        connection.execute(row.values(record=json.dumps(record)))


def test_a_newer_version_that_was_ranked_too_low_is_read_as_well(tmp_path: Path) -> None:
    library = fake_library(tmp_path, retrieval_passages=1)
    FakeLLM.replies = []
    add_guides(library)
    answer = ask(library, COMPANION)
    library.close()
    assert "145 euros" in answer["text"]
    assert [p["source"] for p in answer["passages"]] == ["guide_2025.txt", "guide_2024.txt"]
    assert [told["source"] for told in answer["disagreements"]] == ["guide_2024.txt"]


class Words:
    """A stand-in for the reader: finds the whole of a text, the surer the more words it shares."""

    def read(self, question: str, contexts: Sequence[str]) -> list[Words.Page]:
        asked = set(re.findall(r"\w+", question.lower()))
        return [Words.Page(asked, context) for context in contexts]

    @dataclass
    class Page:
        asked: set[str]
        context: str

        def within(self, start: int, end: int) -> Reading:
            words = re.findall(r"\w+", self.context[start:end].lower())
            shared = len(self.asked & set(words))
            return Reading(start, end, 10.0 * shared / max(1, len(words)) - 5.0)


def test_made_again_the_passages_that_were_judged_are_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.library.load_reader", lambda _: Words())
    library = fake_library(tmp_path, retrieval_passages=1)
    add_guides(library)
    reply = "The hotel limit is 145 euros per night including breakfast."
    FakeLLM.replies = [reply]
    answer = ask(library, COMPANION)
    assert [p["source"] for p in answer["passages"]] == ["guide_2025.txt", "guide_2024.txt"]
    assert answer["made_with"]["added"] == 0
    assert answer["made_with"]["prompt_passages"] == [0]
    record = read_answer(library.catalog, answer["id"])
    seen: list[Answer] = []
    real = library.answerer.answer_again

    def again(*given: Any, **named: Any) -> Answer:
        seen.append(real(*given, **named))
        return seen[-1]

    monkeypatch.setattr(library.answerer, "answer_again", again)
    FakeLLM.replies = [reply]
    found = replay(library, answer["id"])
    judged = library.answerer.judged(COMPANION, seen[0].passages)[1]
    library.close()
    assert (found.same, found.differences) == (True, ())
    assert (seen[0].answerable, seen[0].confidence) == (record["answerable"], record["confidence"])
    assert round(judged, 4) != record["answerable"]  # the one put in would have counted
    assert to_json(seen[0].passages) == record["passages"]


def test_what_the_newer_versions_passage_repeats_is_recorded_and_not_read(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(library, guide_2024=OLD, guide_2025=NEW)
    found = {p.source: p for p in library.answerer._retriever.passages(LIMIT, None, 2)}
    old, whole = found["guide_2024.txt"], found["guide_2025.txt"]
    assert [(twin.source, twin.relation) for twin in old.twins] == [(whole.source, "similar")]
    # of the newer version what stands behind its sentence was found, in the same chunk
    after = whole.text.index("Costs of a companion")
    rest = replace(whole, start=whole.start + after, text=whole.text[after:])
    monkeypatch.setattr(library.answerer._retriever, "passages", lambda *_: [old, rest])
    reply = "The hotel limit is 145 euros per night including breakfast."
    FakeLLM.replies = [reply]
    answer = ask(library, LIMIT)
    assert (answer["text"], answer["citations"][0]["source"]) == (f"{reply} [1]", whole.source)
    added, *judged = read_answer(library.catalog, answer["id"])["passages"]
    assert judged == to_json([old, rest])  # an answer made again judges the same
    assert added["chunk_id"] == rest.chunk_id
    assert rest.text in added["text"]
    made = answer["made_with"]
    assert (made["added"], made["prompt_passages"]) == (0, [0])
    FakeLLM.replies = [reply]
    assert replay(library, answer["id"]).differences == ()


def test_an_answer_of_before_versions_were_looked_at_is_made_again_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = fake_library(tmp_path, retrieval_passages=1)
    add_guides(library)
    reply = "The hotel limit is 120 euros per night including breakfast."
    FakeLLM.replies = [reply]
    with monkeypatch.context() as before:
        before.setattr(answering, "Versions", partial(Versions, looking=False))
        answer = ask(library, COMPANION)
    assert "120 euros" in answer["text"]
    assert answer["made_with"]["prompt_passages"] == [0]
    FakeLLM.replies = [reply]
    assert not replay(library, answer["id"]).same  # one that knew of versions would say 145
    change_record(library, answer["id"], lambda record: record.pop("disagreements"))
    FakeLLM.replies = [reply]
    found = replay(library, answer["id"])
    library.close()
    assert (found.same, found.differences) == (True, ())


def test_the_command_tells_it_below_the_citations(
    library: Library, capsys: pytest.CaptureFixture[str]
) -> None:
    add(library, policy_2024=OLD, policy_2025=NEW)
    _show(ask(library, LIMIT))
    assert (
        "  An older version, policy_2024, says: “The hotel limit is 120 euros per night including "
        "breakfast.” (policy_2024.txt, page 1)"
    ) in capsys.readouterr().out


def test_the_newest_of_three_answers_and_both_others_are_told(library: Library) -> None:
    add(library, rules_2024=NEW, rules_2023=OLD, rules_2025=OLD.replace("120", "150"))
    answer = ask(library, LIMIT)
    assert "150 euros" in answer["text"]
    assert {told["source"] for told in answer["disagreements"]} == {
        "rules_2023.txt",
        "rules_2024.txt",
    }


def test_where_nothing_tells_the_age_both_are_told(library: Library) -> None:
    add(library, a__policy=OLD, b__policy=NEW)  # added on one day
    (told,) = ask(library, LIMIT)["disagreements"]
    assert told["older"] is None


@pytest.mark.parametrize(
    ("question", "says", "told"),
    [
        ("What was the hotel limit per night including breakfast in 2024?", "120", [False]),
        ("What is the hotel limit per night including breakfast in 2025?", "145", []),
        ("What is the hotel limit per night including breakfast since 2024?", "145", [True]),
    ],
    ids=["2024", "2025", "since 2024"],
)
def test_the_year_that_is_asked_for_decides_and_only_a_newer_version_is_told(
    library: Library, question: str, says: str, told: list[bool]
) -> None:
    add(library, policy_2025=NEW, policy_2024=OLD)
    answer = ask(library, question)
    assert f"{says} euros" in answer["text"]
    assert [one["older"] for one in answer["disagreements"]] == told


def test_who_asks_for_the_old_version_gets_it(library: Library) -> None:
    add(library, policy_2025=NEW.replace("The hotel limit", "Now the hotel limit"))
    add(library, policy_2024=OLD)
    answer = ask(library, "What was the old hotel limit per night including breakfast?")
    (told,) = answer["disagreements"]
    assert "120 euros" in answer["text"]
    assert "145 euros" not in answer["text"]
    assert told["older"] is False


def test_a_version_outside_what_is_asked_is_not_looked_at(library: Library) -> None:
    ids = add(library, policy_2024=OLD, policy_2025=NEW)
    asked = Filters(documents=(ids["policy_2024"],))
    answer = ask(library, LIMIT, filters=asked)
    assert "120 euros" in answer["text"]
    assert answer["disagreements"] == []


def test_a_removed_version_takes_the_answer_with_it_and_is_told_no_more(library: Library) -> None:
    ids = add(library, policy_2024=OLD, policy_2025=NEW)
    answer = ask(library, LIMIT)
    assert answer["disagreements"]
    remove(library.catalog, ids["policy_2024"])
    with pytest.raises(NotFound):
        read_answer(library.catalog, answer["id"])
    assert ask(library, LIMIT)["disagreements"] == []


def test_an_answer_is_not_kept_whose_other_version_says_another_thing_now(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(library, policy_2024=OLD, policy_2025=NEW)
    real = record_answer
    kept: list[bool] = []

    def late(catalog: Catalog, answer: Answer) -> bool:
        (told,) = answer.disagreements
        changed = replace(answer, disagreements=(replace(told, quote="The hotel limit is 99."),))
        kept.append(real(catalog, changed))
        kept.append(real(catalog, answer))
        return kept[-1]

    monkeypatch.setattr(answering, "record_answer", late)
    answer = ask(library, LIMIT)
    assert kept == [False, True]
    assert read_answer(library.catalog, answer["id"])["disagreements"] == answer["disagreements"]


AGREE = {
    "what is the same": ({"p_2024": OLD, "p_2025": OLD + "\nThe end."}, LIMIT),
    "what is reworded": (
        {
            "p_2024": OLD,
            "p_2025": OLD.replace("The hotel limit is 120", "The limit for a hotel is 120"),
        },
        LIMIT,
    ),
    "another sentence": ({"p_2024": OLD, "p_2025": NEW.replace("145", "120")}, LIMIT),
    "the same bytes": ({"p_2024": OLD, "p_2025": OLD}, LIMIT),
    "reports of two years": (
        {
            "annual_report_2023": REPORT.format(staff=40, turnover=4.1),
            "annual_report_2024": REPORT.format(staff=44, turnover=4.6),
        },
        "How many employees had the cooperative at the end of the year?",
    ),
    "contracts of two parties": (
        {
            "contract_alpha": AGREEMENT.format(party="Alpha Pumps Ltd", days=30, months=3),
            "contract_beta": AGREEMENT.format(party="Beta Wind GmbH", days=14, months=6),
        },
        "Within how many days after it was received is the invoice due?",
    ),
    "contracts of one name": (
        {
            "acme__contract": AGREEMENT.format(party="Acme", days=30, months=3),
            "bolt__contract": AGREEMENT.format(party="Bolt", days=14, months=6),
        },
        "Within how many days after it was received is the invoice due?",
    ),
    "contracts of two parties and years": (
        {
            "contract_2024": AGREEMENT.format(party="Alpha Pumps Ltd", days=30, months=3),
            "contract_2025": AGREEMENT.format(party="Beta Wind GmbH", days=14, months=6),
        },
        "Within how many days after it was received is the invoice due?",
    ),
}


@pytest.mark.parametrize(("texts", "question"), AGREE.values(), ids=AGREE.keys())
def test_nothing_is_told_of(library: Library, texts: dict[str, str], question: str) -> None:
    add(library, **texts)
    answer = ask(library, question)
    assert not answer["abstained"]
    assert answer["disagreements"] == []


def test_the_reports_of_the_year_asked_for_answer(library: Library) -> None:
    add(library, **AGREE["reports of two years"][0])
    for year, staff in (("2023", "40"), ("2024", "44")):
        answer = ask(library, f"How many employees had the cooperative at the end of {year}?")
        assert f"{staff} employees" in answer["text"]
        assert answer["disagreements"] == []
