"""The benchmark of the fit: its models, its table, what it keeps."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from rag.models.shape import shape_of

BENCHMARKS = Path(__file__).resolve().parent.parent.parent / "benchmarks"


@pytest.fixture
def fit(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import fit as module

    yield module
    for name in ("fit", "_common", "_architectures"):
        sys.modules.pop(name, None)


def test_its_models_are_many_and_of_at_least_300_megabytes(fit: Any) -> None:
    shapes = {name: shape_of(config) for name, config in fit.ARCHITECTURES.items()}
    assert len({shape.kind for shape in shapes.values()}) >= 12
    assert {name for name, shape in shapes.items() if 2 * shape.parameters < 300e6} == set()


def test_ratio_and_table_compare_the_highest_of_both(fit: Any) -> None:
    config = fit.ARCHITECTURES["Mixtral, 8 experts"]
    taken = fit.Taken(
        name="Mixtral",
        config=config,
        file=413_000_000,
        at_once=1,
        device="cpu",
        place="a processor",
        precision="float32",
        loading=1_000_000_000,
        loaded=0,
        answering=900_000_000,
        kept=0,
        seconds=1.0,
    )
    assert taken.need.loading > taken.need.total
    assert taken.ratio == taken.need.loading / 1_000_000_000
    line = fit.table([taken]).splitlines()[-1]
    assert line.startswith("| Mixtral | 413 | float32 | 1 |")
    assert line.endswith(f"| 1,000 | 900 | {taken.ratio:.2f} |")


def test_what_was_measured_is_kept(fit: Any, tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    assert fit._known(kept) == fit._known(None) == {}
    row = fit.Taken("a", {}, 1, 1, "cpu", "here", "float32", 1, 1, 1, 1, 1.0)
    kept.write_text(json.dumps(asdict(row)) + "\n")
    assert fit._known(kept) == {("a", "float32"): row}
    assert list(fit._of("a", tmp_path, 1, fit._known(kept))) == []


def test_a_plain_text_has_a_token_for_each_character(fit: Any) -> None:
    import _architectures

    tokenizer = _architectures.byte_tokenizer(20_000)
    assert len(tokenizer) == 20_000
    assert len(tokenizer("a" * 600)["input_ids"]) == 600
