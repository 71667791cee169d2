"""Scores of retrieved spans, as the published evaluation defines them."""

from __future__ import annotations

import pytest

from benchmarks._spans import Place, scores


def test_scores_of_a_hand_counted_question() -> None:
    chunks = [(0, 100), (100, 200), (200, 300)]
    found = [Place("a", (0, 100)), Place("a", (200, 300)), Place("b", (0, 100))]
    # 40 of 60 characters are found in 300 that were read; 20 are missed
    result = scores("a", [(80, 120), (280, 300)], found, chunks)
    assert result.recall == pytest.approx(40 / 60)
    assert result.precision == pytest.approx(40 / 300)
    assert result.iou == pytest.approx(40 / 320)
    assert result.omega == pytest.approx(60 / 300)


def test_chunks_that_overlap_count_twice_in_precision_and_once_in_omega() -> None:
    chunks = [(0, 100), (50, 150)]
    result = scores("a", [(50, 100)], [Place("a", span) for span in chunks], chunks)
    assert result.recall == 1
    assert result.precision == pytest.approx(50 / 200)
    assert result.omega == pytest.approx(50 / 150)


def test_nothing_found_scores_nothing() -> None:
    result = scores("a", [(0, 10)], [Place("b", (0, 10))], [(20, 30)])
    assert (result.recall, result.precision, result.iou, result.omega) == (0, 0, 0, 0)
