"""What a tuning gained, and whether that may be chance."""

from __future__ import annotations

import pytest

from rag.tuning.gain import GAIN, gain, gain_words


def test_a_gain_on_few_questions_may_be_chance_and_one_on_many_is_told_as_one() -> None:
    few = gain("quality", [0.0] * 4, [1.0, 0.5, 1.0, 0.5])
    assert (few["mean"], few["p"]) == (0.75, 0.125)
    assert "+0.750 over 4 held out" in gain_words({GAIN: few})
    assert "may be chance" in gain_words({GAIN: few})
    many = gain("quality", [0.0] * 40, [1.0, 0.5] * 20)
    assert many["p"] < 0.05
    assert many["low"] > 0
    assert "is more than chance" in gain_words({GAIN: many})
    mixed = gain("quality", [0.0, 1.0] * 20, [1.0, 0.0] * 19 + [1.0, 1.0])
    assert "may be chance" in gain_words({GAIN: mixed})
    none = gain("quality", [0.5] * 9, [0.5] * 9)
    assert (none["mean"], none["p"]) == (0.0, 1.0)


def test_what_was_tuned_before_gains_were_kept_has_none() -> None:
    assert gain_words({"base": {}, "tuned": {}}) == ""


def test_other_questions_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        gain("quality", [1.0], [1.0, 0.0])
