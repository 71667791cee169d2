"""The engine's benchmark: it compares the same work, and counts what it says."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.rag.models.tiny_models import tiny

BENCHMARKS = Path(__file__).resolve().parent.parent.parent / "benchmarks"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import engine as module

    yield module
    for name in ("engine", "_common", "_engine_bound", "_random_llama"):
        sys.modules.pop(name, None)


def test_the_three_ways_write_the_same_number_of_tokens(engine: Any) -> None:
    bench = engine.Bench(tiny("llama"), None, 3, engine.Sizes(20, 4, (1, 3), 1))
    figures = {figure.name: figure for figure in engine.compare(bench)}
    assert len(figures) == 2 * (2 + 2 + 2 + 3 * 3)
    assert all(figure.value > 0 for figure in figures.values())
    ways = ("one after another", "static batch", "engine")
    rates = [figures[f"3 at once: {way}"].value for way in ways]
    firsts = [figures[f"3 at once: {way}, first token p95"].value for way in ways]
    assert all(3 * 4 / rate > first for rate, first in zip(rates, firsts, strict=True))


def test_prompts_have_no_common_beginning(engine: Any) -> None:
    bench = engine.Bench.__new__(engine.Bench)
    bench.sizes, bench.vocabulary = engine.Sizes(), 49_152
    prompts = bench.prompts(16, 1)
    assert len({prompt[0] for prompt in prompts}) == 16
    assert {len(prompt) for prompt in prompts} == {engine.PROMPT}


def test_decoding_counts_only_while_all_write(engine: Any) -> None:
    from _engine_bound import decoding

    assert decoding([[1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 9.0]]) == pytest.approx(2.0)


def test_a_random_model_writes_all_tokens_by_their_scores_alone(engine: Any) -> None:
    from _random_llama import random_llama

    from rag.models.batch.sampling import Sampler

    model = random_llama(0.01)
    assert Sampler(model, {"min_new_tokens": 9, "max_new_tokens": 9}, [5, 6]).plain
    bench = engine.Bench(model, None, 3, engine.Sizes(20, 9, (3,), 1))
    stamps = bench.stamps(bench.prompts(3, 0), 9)
    assert [len(times) for times in stamps] == [9, 9, 9]


def test_a_random_model_has_about_the_weights_asked_for(engine: Any) -> None:
    from _random_llama import copy_bandwidth, random_llama

    model = random_llama(0.01)
    count = sum(weight.numel() for weight in model.parameters())
    assert 0.5e7 < count < 2e7
    assert copy_bandwidth(torch.device("cpu")) > 1e8


def test_the_estimate_is_told_before_the_engine_has_taken_anything(engine: Any) -> None:
    from _engine_bound import estimated
    from _random_llama import random_llama

    from rag.models.fit import needed

    model = random_llama(0.01)
    bench = engine.Bench(model, None, 3, engine.Sizes(20, 9, (3,), 1))
    config, precision = model.config.to_dict(), str(model.dtype).removeprefix("torch.")
    estimate = estimated(bench)
    assert estimate == needed(config, precision, 29, 3, "cpu", cache_bytes=bench.cache_bytes).peak
    bench.stamps(bench.prompts(3, 0), 9)
    assert estimated(bench) == estimate
    assert estimate > sum(weight.nbytes for weight in model.parameters())
