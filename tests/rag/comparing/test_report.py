"""A comparison in words and as a page."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

import pytest

from rag.comparing.pricing import priced
from rag.comparing.report import render, render_part, style
from rag.comparing.verdict import differing, lines, not_differing, summary, table
from rag.evaluation.intervals import Interval

HOSTILE = '<img src="https://evil.example/x.png"><script>alert(1)</script>'


class _Tags(HTMLParser):
    """The elements of a page and the names of their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.names: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}


def model(name: str, right: float, seconds: float, **more: Any) -> dict[str, Any]:
    """A model's figures, of 60 questions."""

    def mean(value: float, questions: int = 60) -> dict[str, Any]:
        spread = Interval(value, max(0.0, value - 0.1), min(1.0, value + 0.1))
        return {"questions": questions, "mean": value, "low": spread.low, "high": spread.high}

    measures = {"right": mean(right), "unanswerable_answered": mean(0.1, 20)}
    measures |= {"answerable_declined": mean(0.2, 40), "f1": mean(right, 40)}
    return {
        "name": name,
        "revision": "abc",
        "device": "cpu",
        "precision": "float32",
        "quantization": None,
        "measures": {**measures, "total": mean(1000 * seconds)},
        "calibration_error": 0.12,
        "calibration": [{"count": 4, "confidence": 0.8, "right": 0.75}],
        "p50": {"retrieve": 50.0, "total": 1000 * seconds},
        "p95": {"retrieve": 70.0, "total": 2500 * seconds},
        "tokens_per_second": 8.0,
        "prompt_tokens": 900.0,
        "completion_tokens": 20.0,
        "memory": 870_000_000,
        "memory_how": "GPU memory, by torch's own count",
        "memory_estimate": 1_450_000_000,
        "estimate_for": "8 questions at once with 1,664 tokens each",
        "cost": None,
        "licence": "Apache License 2.0",
        "commercial": "yes",
        "commercial_words": "Any use.",
        **more,
    }


def difference(measure: str, first: str, second: str, told: str) -> dict[str, Any]:
    means = {"first_mean": 0.5, "second_mean": 0.75, "difference": 0.25, "low": 0.1, "high": 0.4}
    return {
        **{"measure": measure, "first": first, "second": second, "questions": 60, **means},
        **{"p": 0.001, "adjusted": 0.01, "told": told},
    }


def result(*models: Mapping[str, Any], differences: Any = (), **more: Any) -> dict[str, Any]:
    return {
        "id": "cmp_0",
        "name": f"{HOSTILE}.jsonl",
        "begun": "2026-11-01T10:00:00+00:00",
        "ended": "2026-11-01T11:00:00+00:00",
        "questions": 60,
        "answerable": 40,
        "collections": None,
        "models": list(models),
        "skipped": [{"name": "huge", "reason": f"It needs 99 GB. {HOSTILE}"}],
        "left_out": [],
        "differences": list(differences),
        "asked": [
            {
                "id": "q1",
                "question": f"What is {HOSTILE}?",
                "answerable": True,
                "failures": {one["name"]: "declined" * n for n, one in enumerate(models)},
            }
        ],
        "per_hour": None,
        "currency": "",
        "beside": 0,
        "made_with": {"cloister": "0", "prompt_version": "1", "embedder": "e"},
        **more,
    }


BASE, BETTER = model("none", 0.5, 0.5), model("big", 0.75, 4.0, commercial="no")
APART = result(
    BASE,
    BETTER,
    differences=[
        difference("right", "none", "big", "better"),
        difference("f1", "none", "big", "may be chance"),
        difference("answerable_declined", "none", "big", "the same"),
    ],
)


def test_the_verdict_says_what_is_beyond_chance_and_what_is_not() -> None:
    told = " ".join(summary(APART))
    assert "big handled the most questions rightly, 75.0 %: beyond chance more than" in told
    assert "Quotes alone (none) 500 ms and big 4.0 s" in told
    assert "take big" in told
    assert "big may not be used commercially" in told
    assert differing(APART) == [
        "big is better than Quotes alone (none): handled rightly, 75.0 % against 50.0 %."
    ]
    chance, same = not_differing(APART)
    assert chance.endswith("no more than by chance: token F1 of the short answer.")
    assert same.endswith("came out the same: declined though the documents do say.")


def test_without_a_difference_the_fastest_is_proposed() -> None:
    level = result(BASE, BETTER, differences=[difference("right", "none", "big", "may be chance")])
    told = " ".join(summary(level))
    assert "No model is beyond chance the best" in told
    assert "take Quotes alone (none)" in told
    assert "few" not in told
    assert "60 questions" not in told
    assert any("are few" in line for line in summary({**level, "questions": 20}))


def test_best_stands_only_where_it_is_sure() -> None:
    cells = {line.label: [cell.best for cell in line.cells] for line in lines(APART)}
    assert cells["Handled rightly"] == [False, True]
    assert not any(any(best) for label, best in cells.items() if label != "Handled rightly")
    (row,) = (line for line in table(APART) if line.startswith("Handled rightly"))
    assert re.search(r"50\.0 % \(40 to 60 %\) +\* 75\.0 %", row)


def test_one_alone_is_shown_too() -> None:
    page = render(result(BASE))
    assert "nothing to compare it with" in page
    assert "beyond chance</h2>" not in page


@pytest.mark.parametrize("page", [render(APART), render_part(APART)], ids=["whole", "part"])
def test_the_page_loads_nothing_and_takes_all_for_text(page: str) -> None:
    assert "huge was not compared." in page
    found = _Tags(page)
    assert not found.tags & {"img", "script", "link", "iframe", "a"}
    assert not {
        name for name in found.names if name in ("style", "src", "href") or name[:2] == "on"
    }
    assert "0.87 GB" in page
    assert "1.45 GB" in page
    assert "At 1 question one model did right" in page


def test_the_page_draws_what_the_figures_say() -> None:
    page = render(APART)
    # the models at half and three quarters of a strip, with their intervals
    assert 'd="M160.0 28.0H240.0"' in page
    assert re.search(r'cx="300\.0" cy="68\.0" r="6"', page)
    # and in the chart of good against fast: 4 s of 4 are at the right edge
    assert '<circle class="dot" cx="100.0" cy="25.0" r="3.4"/>' in page


@pytest.mark.parametrize(
    ("beside", "told"),
    [(0, ""), (7, "7 of 120 answers were made while a server"), (120, "beside the one that the")],
    ids=["none", "some", "all"],
)
def test_the_page_says_which_answers_a_server_made_beside_others(beside: int, told: str) -> None:
    page = render({**APART, "beside": beside})
    assert told in page
    assert ("may hold some of theirs" in page) == bool(told)


def test_its_rules_are_for_reports_only() -> None:
    plain = re.sub(r"@media[^{]+\{", "", style())
    for selectors in re.findall(r"([^{}]+)\{", plain):
        assert all(one.strip().startswith(".report") for one in selectors.split(",")), selectors


def test_a_price_makes_the_cost_of_a_thousand_answers() -> None:
    made = priced(APART, 1.8, "EUR")
    # 0.5 s and 4 s an answer, at 1.80 an hour
    assert [one["cost"] for one in made["models"]] == pytest.approx([0.25, 2.0])
    assert "2.00 EUR" in render(made)
    assert [one["cost"] for one in priced(APART, 0.0, "")["models"]] == [None, None]
    json.dumps(made)
