"""The judge is fitted on labelled questions, and what speaks for an answer never speaks against."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag.answerability import FEATURES, RIGHT_FEATURES, Calibration, read_calibration
from rag.errors import UsageError
from rag.evaluation.calibrate import Source, fit, write
from rag.evaluation.judged import Judged
from rag.evaluation.reliability import Answered, calibration_error


def _judged(count: int, seed: int = 1, share_right: float = 0.0) -> list[Judged]:
    """Questions: `reader_mean` tells the classes apart, `margin` whether an answer is right.

    Nothing else tells anything. `share_right` moves how many are right.
    """
    random = np.random.default_rng(seed)
    labels = [bool(n % 2) for n in range(count)]
    rows = [
        {name: float(random.normal()) for name in FEATURES} | {"reader_mean": 2.0 * label}
        for label in labels
    ]
    for row in rows:
        row["reader_mean"] += float(random.normal()) * 0.3
        row |= {"margin": float(random.normal()), "lead": float(random.normal())}
    right = [
        label and row["margin"] + float(random.normal()) * 0.3 > -share_right
        for row, label in zip(rows, labels, strict=True)
    ]
    return [
        Judged(*one, None, (f"document {number // 4}",))
        for number, one in enumerate(zip(rows, labels, right, strict=True))
    ]


def _source(folder: Path, judged: Sequence[Judged], name: str = "questions.jsonl") -> Source:
    (folder / name).write_text(f"{{}} {name}")
    return Source(folder / name, judged)


def _file(calibration: Calibration, number: int = 0) -> Mapping[str, Any]:
    """What a calibration says of a file."""
    files: Any = calibration.fitted_on["files"]
    found: Mapping[str, Any] = files[number]
    return found


def test_a_fit_tells_the_classes_apart_and_is_stored_whole(tmp_path: Path) -> None:
    judged = _judged(60)
    calibration = fit([_source(tmp_path, judged)])
    weights = calibration.answerable.weights
    assert max(weights, key=lambda name: abs(weights[name])) == "reader_mean"
    chance = [calibration.probability(one.features) for one in judged]
    assert min(c for c, one in zip(chance, judged, strict=True) if one.answerable) > max(
        c for c, one in zip(chance, judged, strict=True) if not one.answerable
    )
    write(calibration, tmp_path / "calibration.json")
    assert read_calibration(tmp_path / "calibration.json") == calibration
    given = [sure for sure in chance if sure >= calibration.threshold]
    told = _file(calibration)
    assert (told["answerable"], told["unanswerable"], told["answered"]) == (30, 30, len(given))


def test_confidence_is_how_often_answers_like_it_are_right(tmp_path: Path) -> None:
    calibration = fit([_source(tmp_path, _judged(1200))])
    assert calibration.right.weights["margin"] == max(calibration.right.weights.values())
    # on questions that it was not fitted on
    others = [
        one
        for one in _judged(1200, seed=2)
        if calibration.probability(one.features) >= calibration.threshold
    ]
    error = calibration_error(
        [Answered(calibration.confidence(one.features), bool(one.right)) for one in others]
    )
    assert error is not None
    assert error < 0.1
    # what says whether there is an answer does not say whether it is the right one
    before = calibration_error(
        [Answered(calibration.probability(one.features), bool(one.right)) for one in others]
    )
    assert before is not None
    assert before > 2 * error


def test_what_cannot_be_told_is_left_out_of_the_second_fit(tmp_path: Path) -> None:
    judged = _judged(60)
    some = [
        replace(one, right=None if number < 20 else one.right) for number, one in enumerate(judged)
    ]
    whole, part = fit([_source(tmp_path, judged)]), fit([_source(tmp_path, some)])
    assert part.answerable == whole.answerable
    assert _file(part)["answered"] < _file(whole)["answered"]
    with pytest.raises(UsageError, match="some that are wrong"):
        fit([_source(tmp_path, [replace(one, right=True) for one in judged])])


def test_no_weight_has_the_wrong_sign(tmp_path: Path) -> None:
    judged = [
        replace(
            one,
            features={
                **one.features,
                "reader_first": -2.0 * one.answerable,
                "unknown_word": 2.0 * one.answerable,
            },
        )
        for one in _judged(60)
    ]
    weights = fit([_source(tmp_path, judged)]).answerable.weights
    assert weights["reader_first"] == 0.0
    assert weights["unknown_word"] == 0.0


def test_too_few_questions_are_told_with_their_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ten answerable and ten unanswerable"):
        fit([Source(tmp_path, _judged(12))])
    sources = [_source(tmp_path, _judged(60)), _source(tmp_path, _judged(19), "few.jsonl")]
    with pytest.raises(UsageError, match=r"few\.jsonl has 9 and 10"):
        fit(sources)


def test_each_file_weighs_the_same_however_many_questions_it_has(tmp_path: Path) -> None:
    first, second = _judged(60), _judged(60, seed=2, share_right=1.0)
    for one in second:  # its questions look more like answered ones, of both kinds
        one.features["reader_mean"] += 1.5  # type: ignore[index]
    once = fit([_source(tmp_path, first), _source(tmp_path, second, "b.jsonl")])
    # every question of the second file three times over changes its counts alone
    thrice = fit([_source(tmp_path, first), _source(tmp_path, second * 3, "b.jsonl")])
    for name in ("answerable", "right"):
        one, other = getattr(once, name), getattr(thrice, name)
        assert other.weights == pytest.approx(one.weights, abs=1e-5)
        assert other.means == pytest.approx(one.means, abs=1e-5)
        assert other.bias == pytest.approx(one.bias, abs=1e-5)
    assert thrice.threshold == pytest.approx(once.threshold, abs=1e-5)
    assert _file(thrice, 1)["answerable"] == 3 * _file(once, 1)["answerable"]
    # in one file they would count for more
    joined = fit([_source(tmp_path, [*first, *second * 3])])
    for name in ("answerable", "right"):
        one, other = getattr(once, name), getattr(joined, name)
        assert other.weights != pytest.approx(one.weights, abs=1e-2)


def test_the_threshold_declines_few_of_the_answerable_of_each_file(tmp_path: Path) -> None:
    # the second file's answerable questions look like unanswerable ones of the first
    first, second = _judged(400), _judged(40, seed=3)
    for one in second:
        one.features["reader_mean"] -= 1.5  # type: ignore[index]
    sources = [_source(tmp_path, first), _source(tmp_path, second, "b.jsonl")]
    calibration = fit(sources)
    declined = [
        [calibration.probability(one.features) < calibration.threshold for one in part]
        for part in ([j for j in source.judged if j.answerable] for source in sources)
    ]
    shares = [sum(part) / len(part) for part in declined]
    # of all questions together the limit would let far more of the few be declined
    assert 0 < max(shares) <= 0.15
    alone = fit([_source(tmp_path, [*first, *second])])
    lost = [alone.probability(one.features) < alone.threshold for one in second if one.answerable]
    assert sum(lost) / len(lost) > 0.25


def test_a_fit_names_each_file_with_what_it_held(tmp_path: Path) -> None:
    sources = [_source(tmp_path, _judged(60)), _source(tmp_path, _judged(80, seed=2), "b.jsonl")]
    calibration = fit(sources)
    for number, (source, half) in enumerate(zip(sources, (30, 40), strict=True)):
        told = _file(calibration, number)
        given = [
            one
            for one in source.judged
            if calibration.probability(one.features) >= calibration.threshold
        ]
        assert told == {
            "questions": source.path.name,
            "sha256": hashlib.sha256(source.path.read_bytes()).hexdigest(),
            "answerable": half,
            "unanswerable": half,
            "answered": len(given),
            "right": sum(bool(one.right) for one in given),
        }


def test_a_calibration_of_before_is_read(tmp_path: Path) -> None:
    calibration = fit([_source(tmp_path, _judged(60))])
    write(calibration, tmp_path / "calibration.json")
    stored = json.loads((tmp_path / "calibration.json").read_text("utf-8"))
    before = {"questions": "questions.jsonl", "sha256": "0" * 64, "answerable": 117}
    path = tmp_path / "before.json"
    path.write_text(json.dumps(stored | {"fitted_on": before}), "utf-8")
    found = read_calibration(path)
    assert (found.answerable, found.right) == (calibration.answerable, calibration.right)
    assert found.fitted_on == before


def test_the_shipped_calibration_says_what_it_was_fitted_on() -> None:
    calibration = read_calibration()
    assert 0 < calibration.threshold < 1
    assert set(calibration.answerable.weights) <= set(FEATURES)
    assert set(calibration.right.weights) <= set(RIGHT_FEATURES)
    files: Any = calibration.fitted_on.get("files", [calibration.fitted_on])
    assert "questions.jsonl" in [one["questions"] for one in files]


def test_confidence_is_as_of_questions_of_which_a_quarter_has_no_answer(tmp_path: Path) -> None:
    def questions(answered: int, unanswered: int) -> list[Judged]:
        """Nothing tells which have an answer; of those that do, four fifths are right."""
        random = np.random.default_rng(3)
        return [
            Judged(
                {name: float(random.normal()) for name in (*FEATURES, *RIGHT_FEATURES)},
                number < answered,
                number < answered and number % 5 > 0,
                None,
                (f"document {number}",),
            )
            for number in range(answered + unanswered)
        ]

    for counts in ((300, 100), (300, 900)):
        judged = questions(*counts)
        calibration = fit([_source(tmp_path, judged)])
        sure = [
            calibration.confidence(one.features)
            for one in judged
            if calibration.probability(one.features) >= calibration.threshold
        ]
        # as three answerable questions to one other, all likely to be answered: .75 × .8
        assert 0.55 < sum(sure) / len(sure) < 0.65


def test_where_no_cut_keeps_to_the_limit_none_are_declined(tmp_path: Path) -> None:
    judged = _judged(20)
    level = dict.fromkeys(judged[0].features, 0.0)
    # a third of the answerable look alike, and worse than all else
    alike = [
        replace(
            one,
            features=level
            | {"reader_mean": -1.0 if number % 6 == 1 else 5.0 * one.answerable}
            | {"margin": float(number)},
        )
        for number, one in enumerate(judged)
    ]
    calibration = fit([_source(tmp_path, alike)])
    chance = [calibration.probability(one.features) for one in alike]
    assert min(chance) >= calibration.threshold - 1e-6
