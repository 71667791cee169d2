"""The precision is chosen by what one core computes faster, whatever else the machine does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from rag.models import device


@pytest.fixture(autouse=True)
def probed_anew() -> Iterator[None]:
    device._bfloat16_pays.cache_clear()
    yield
    device._bfloat16_pays.cache_clear()


@pytest.mark.parametrize(("share", "wanted"), [(0.5, torch.bfloat16), (0.95, torch.float32)])
def test_bfloat16_is_taken_where_it_is_clearly_faster(
    share: float, wanted: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def measured() -> float:
        threads.append(torch.get_num_threads())
        return share

    monkeypatch.setattr(device, "_bfloat16_share", measured)
    assert device.pick_precision("auto", "cpu") == wanted
    assert device.pick_precision("auto", "cpu") == wanted
    assert threads == [1]
    assert device.pick_precision("float32", "cpu") == torch.float32


def test_time_that_another_program_took_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    spent = iter([0.0, 9.0, 9.0, 9.4, *(n / 10 for n in range(100, 200))])
    monkeypatch.setattr("time.thread_time", lambda: next(spent))
    monkeypatch.setattr("time.perf_counter", lambda: pytest.fail("the clock says nothing here"))
    assert device._bfloat16_share() == pytest.approx(1.0)
