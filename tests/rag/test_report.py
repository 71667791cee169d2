"""The page of an evaluation, and an evaluation beside an earlier one."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from rag.errors import UsageError
from rag.evaluation.against import compare, read_rows, to_row
from rag.evaluation.questions import Gold, Item
from rag.evaluation.report import render
from rag.evaluation.run import Result
from rag.evaluation.scoring import Scored

NO_MODEL = {"id": "none", "revision": "", "device": "none", "adapter": None}
HOSTILE = '<img src="https://evil.example/x.png"><script>alert(1)</script>'


def scored(name: str, confidence: float | None, failure: str = "", **scores: float) -> Scored:
    """A question as it comes out of a run; `confidence` None where it is declined."""
    answerable = "unanswerable_declined" not in scores
    place = {"source": f"{HOSTILE}.txt", "page": 1, "text": f"Text {HOSTILE}", "quote": HOSTILE}
    answer: dict[str, Any] = {
        "text": f"It is {name} {HOSTILE} [1].",
        "abstained": confidence is None,
        "confidence": 0.8 if confidence is None else confidence,
        "answerable": 0.2 if confidence is None else confidence,
        "citations": [] if confidence is None else [{"n": 1, **place}],
        "model": {"id": "a-model", "revision": "1", "device": "cpu", "adapter": None},
        "timings_ms": {"retrieve": 40, "first_token": 1200},
    }
    item = Item(
        name,
        f"What is {name}? {HOSTILE}",
        answerable,
        (name,) if answerable else (),
        (Gold(f"{HOSTILE}.txt", 1, HOSTILE),) if answerable else (),
        "dev" if name < "c" else "test",
        "fact",
        (),
    )
    return Scored(Result(item, (place,), answer), scores, failure, 1)


RUN = [
    scored("a", 0.9, f1=1.0, answer_holds_gold=1.0, answerable_declined=0.0),
    scored("b", None, "declined; passage 2 has the answer", f1=0.0, answerable_declined=1.0),
    scored("c", 0.6, "answered, though the documents do not say", unanswerable_declined=0.0),
    scored("d", None, unanswerable_declined=1.0),
]


class _Page(HTMLParser):
    """What a browser would load or run, the cells of the tables, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.sources: list[str] = []
        self.said: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.sources += [value or "" for key, value in attrs if key in ("src", "href", "style")]

    def handle_data(self, data: str) -> None:
        self.said.append(" ".join(data.split()))

    def row(self, first: str) -> list[str]:
        """The texts from the one that reads `first` on."""
        told = [text for text in self.said if text]
        return told[told.index(first) :][:6]


def test_a_report_names_the_model_that_answered() -> None:
    told = scored("e", 1.0)
    answer = {**told.result.answer, "answered_from": "catalog", "model": NO_MODEL}
    first = replace(told, result=replace(told.result, answer=answer))
    assert "answers by a-model" in render("questions.jsonl", [first, *RUN], 0.5)
    assert "answers by none" in render("questions.jsonl", [first], 0.5)


def test_a_report_shows_scores_and_what_failed_and_loads_nothing() -> None:
    text = render("questions.jsonl", RUN, 0.5)
    page = _Page(text)
    assert not page.tags & {"img", "script", "link", "iframe", "a"}
    assert page.sources == []
    assert HOSTILE not in text
    assert page.row("f1")[1:5] == [
        "2",
        "50.0 %",
        "–",  # of so few an interval says nothing
        "token F1 of the short answer",
    ]
    assert page.row("unanswerable_declined")[2] == "50.0 %"
    assert page.row("split dev (2)")[1] == "split test (2)"
    failed = [said for said in page.said if said.startswith(("Declined:", "Answered, though"))]
    assert failed == ["Declined: 1", "Answered, though the documents do not say: 1"]
    assert "(passage 2 has the answer)" in page.said
    assert page.row("first token")[1:3] == ["1,200", "1,200"]
    told = " ".join(page.said)
    # answers at .9 (right) and .6 (not): one bin is .1 off, the other .6
    assert "expected calibration error" in told
    assert "35.0 % off" in told
    # were it exactly right: 2 x .9 x .1 of one and 2 x .6 x .4 of the other, on average .33
    by_chance = re.search(
        r"many answers would show ([0-9.]+) %, and at most ([0-9.]+) % in 95", told
    )
    assert by_chance is not None
    assert float(by_chance[1]) == pytest.approx(33, abs=2)
    # both are wrong in 4 of 100, and the surer one alone in 6: that is (.9 + .4) / 2 off
    assert float(by_chance[2]) == pytest.approx(65, abs=0.1)
    assert "50.0 % of the unanswerable questions would be declined, and 50.0 %" in told


def test_the_dot_of_the_curve_stands_at_the_threshold() -> None:
    text = render("questions.jsonl", RUN, 0.5)
    line = re.search(r'<polyline class="line" points="([^"]+)"', text)
    # chances: answerable .9 and .2, the others .6 and .2; a threshold below all declines nothing
    assert 'cx="0.0" cy="100.0" r="2"/>' in render("questions.jsonl", RUN, 0.1)
    assert line is not None
    assert line[1] == "0.0,100.0 50.0,50.0 50.0,0.0 100.0,0.0"
    assert '<circle class="dot" cx="50.0" cy="50.0" r="2"/>' in text


def test_questions_of_one_kind_alone_have_no_curve() -> None:
    text = render("questions.jsonl", RUN[:2], 0.5)
    assert "polyline" not in text
    assert "needs answerable and unanswerable questions" in text


def _file(path: Path, *rows: Mapping[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def test_a_run_is_compared_with_an_earlier_one_question_by_question(tmp_path: Path) -> None:
    before = [
        scored(f"q{n}", 0.9, "answered beside the point; " * (n < 8), f1=float(n >= 8))
        for n in range(10)
    ]
    now = [scored(f"q{n}", 0.9, "declined; x" * (n == 9), f1=float(n < 9)) for n in range(11)]
    path = _file(tmp_path / "before.jsonl", *(to_row(one) for one in before))
    items = [one.result.item for one in now]
    comparison = compare(now, read_rows(path, items))
    (change,) = comparison.changes
    assert (change.name, change.questions, change.before, change.now) == ("f1", 10, 0.2, 0.9)
    assert change.difference.mean == pytest.approx(0.7)
    assert change.p < 0.05
    assert [one.result.item.id for one in comparison.mended] == [f"q{n}" for n in range(8)]
    assert [one.result.item.id for one in comparison.broken] == ["q9"]
    assert comparison.questions == 10
    page = _Page(render("questions.jsonl", now, 0.5, comparison))
    assert "10 of 11 questions are in both." in " ".join(page.said)
    assert "Fails now and did not: 1" in page.said
    assert "better" in page.said


def test_what_is_no_earlier_run_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    items = [one.result.item for one in RUN]
    other = to_row(scored("z", 0.9, f1=1.0))
    with pytest.raises(UsageError, match="none of these questions"):
        read_rows(_file(tmp_path / "other.jsonl", other), items)
    with pytest.raises(UsageError, match="line 2 is not of an evaluation"):
        read_rows(_file(tmp_path / "broken.jsonl", to_row(RUN[0]), {"id": "a"}), items)


def test_a_failed_question_says_which_collection_it_was_asked_of() -> None:
    failed = RUN[1]
    item = replace(failed.result.item, collection=f"north{HOSTILE}")
    asked = replace(failed, result=replace(failed.result, item=item))
    text = render("questions.jsonl", [RUN[0], asked], 0.5)
    assert HOSTILE not in text
    assert "north<img" in " ".join(_Page(text).said)
    assert "asked of" not in render("questions.jsonl", RUN, 0.5)
    assert to_row(asked)["collection"] == item.collection
