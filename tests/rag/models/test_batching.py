"""Batches hold every text once, padded little, and every lane has as many."""

from __future__ import annotations

import random

import pytest

from rag.models.batching import by_length


def padded(batch: list[int], lengths: list[int]) -> int:
    return len(batch) * max(lengths[place] for place in batch)


@pytest.mark.parametrize("lanes", [1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_every_text_is_in_one_batch_that_is_not_too_long(seed: int, lanes: int) -> None:
    rng = random.Random(seed)
    lengths = [int(rng.lognormvariate(3, 1)) for _ in range(rng.randrange(1, 200))]
    batches = by_length(lengths, 300, lanes)
    order = [place for batch in batches for place in batch]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[place] for place in order] == sorted(lengths, reverse=True)
    assert all(padded(batch, lengths) <= 300 or len(batch) == 1 for batch in batches)


def test_lanes_have_as_many_batches_about_as_long() -> None:
    lengths = [random.Random(7).randrange(20, 90) for _ in range(70)]
    assert len(by_length(lengths, 2000)) == 3
    batches = by_length(lengths, 2000, 2)
    assert len(batches) == 4
    sizes = [padded(batch, lengths) for batch in batches]
    assert max(sizes) < 1.3 * sum(lengths) / 4
    assert [len(batch) for batch in by_length([5] * 6, 1000, 2)] == [3, 3]
    assert [len(batch) for batch in by_length([5] * 6, 1000, 1)] == [6]


def test_equal_texts_keep_their_order_and_none_give_no_batch() -> None:
    assert by_length([4, 9, 4, 9], 8) == [[1], [3], [0, 2]]
    assert by_length([], 8, 2) == []
    assert by_length([0, 0], 8) == [[0, 1]]
