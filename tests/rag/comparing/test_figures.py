"""What answers come to: differences beyond chance, and those within it."""

from __future__ import annotations

import random

import pytest

from rag.comparing.figures import differences, holm, values_of
from rag.comparing.store import Row


def rights(values: list[float]) -> list[dict[str, float]]:
    return [{"right": value} for value in values]


def test_holm_is_that_of_his_paper() -> None:
    # the smallest times 4, the next times 3, and never less than the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_real_difference_is_told_and_a_null_one_is_not() -> None:
    # of 100 questions 40 come out otherwise: 35 to 5 is no chance, 22 to 18 is
    base = [0.0, 1.0] * 50
    (real,) = differences({"a": rights(base), "b": rights(parted(base, 35, 5))})
    assert real.told == "better"
    assert real.low > 0
    assert (real.first_mean, real.second_mean) == (0.5, 0.8)
    (null,) = differences({"a": rights(base), "b": rights(parted(base, 22, 18))})
    assert null.told == "may be chance"
    assert null.low < 0 < null.high
    (other_way,) = differences({"a": rights(base), "b": rights(parted(base, 5, 35))})
    assert other_way.told == "worse"


def parted(base: list[float], up: int, down: int) -> list[float]:
    """The values with so many zeros raised and so many ones lowered."""
    zeros = [place for place, value in enumerate(base) if not value][:up]
    ones = [place for place, value in enumerate(base) if value][:down]
    changed = {**dict.fromkeys(zeros, 1.0), **dict.fromkeys(ones, 0.0)}
    return [changed.get(place, value) for place, value in enumerate(base)]


def test_of_nothing_but_chance_hardly_ever_is_a_difference_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rag.evaluation.intervals._ROUNDS", 2)  # of intervals, which do not decide
    chance = random.Random(1)
    told = 0
    for _ in range(60):
        runs = {name: rights([float(chance.random() < 0.7) for _ in range(12)]) for name in "abc"}
        told += any(one.told in ("better", "worse") for one in differences(runs))
    assert told <= 6  # 5 % of 60 is 3


def test_less_is_better_where_it_is_errors_or_time() -> None:
    fast = [{"total": 100.0 + n, "answerable_declined": 0.0} for n in range(20)]
    slow = [{"total": 900.0 + 2 * n, "answerable_declined": 1.0} for n in range(20)]
    told = {one.measure: one.told for one in differences({"fast": fast, "slow": slow})}
    assert told == {"total": "worse", "answerable_declined": "worse"}


def test_a_measure_counts_where_both_have_it() -> None:
    first = [{"supported": 1.0}, {}, {"supported": 0.5}]
    second = [{"supported": 0.5}, {"supported": 1.0}, {}]
    (one,) = differences({"a": first, "b": second})
    assert (one.questions, one.first_mean, one.second_mean) == (1, 1.0, 0.5)


def test_the_values_of_an_answer() -> None:
    row = Row(
        "m", "q", "p", {"unanswerable_declined": 0.0, "supported": 1.0}, "answered", False, 0.5,
        0.5, {"total": 30, "first_token": 20},
    )  # fmt: skip
    assert values_of(row) == {
        "right": 0.0,
        "unanswerable_answered": 1.0,
        "supported": 1.0,
        "first_token": 20.0,
        "total": 30.0,
    }
