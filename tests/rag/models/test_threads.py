"""Only the LLM's thread computes on several cores, so that its helpers need not sleep."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import torch

from rag.models import threads
from rag.models.batch.request import Request
from rag.models.batch.sampling import Sampler
from rag.models.writer import Writer
from tests.rag.models.tiny_models import tiny


@pytest.fixture(autouse=True)
def _three_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(threads, "_cores", 0)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def elsewhere(begin: Callable[[], None]) -> int:
    """On how many cores a new thread computes after it has begun so."""
    found: list[int] = []

    def work() -> None:
        begin()
        torch.ones(64, 64) @ torch.ones(64, 64)
        found.append(torch.get_num_threads())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return found[0]


def nothing() -> None:
    pass


def test_a_thread_has_cores_of_its_own_and_all_others_as_before() -> None:
    assert elsewhere(lambda: threads.on_cores(2)) == 2
    assert torch.get_num_threads() == 3
    assert elsewhere(nothing) == 3


def test_all_have_one_core_but_those_that_take_all() -> None:
    threads.one_core_each()
    assert torch.get_num_threads() == 1
    assert elsewhere(nothing) == 1
    assert elsewhere(threads.all_cores) == 3
    assert elsewhere(nothing) == 1


def test_said_twice_it_still_knows_how_many_there_are() -> None:
    threads.one_core_each()
    threads.one_core_each()
    assert elsewhere(threads.all_cores) == 3


def test_an_llm_is_loaded_on_all_cores() -> None:
    threads.one_core_each()
    assert threads.with_all_cores(torch.get_num_threads) == 3
    assert torch.get_num_threads() == 1
    with pytest.raises(ValueError, match="no"):
        threads.with_all_cores(lambda: int("no"))


def test_a_thread_that_settles_never_takes_what_another_one_has_for_a_moment() -> None:
    threads.one_core_each()
    stop = threading.Event()

    def changes() -> None:
        while not stop.is_set():
            elsewhere(lambda: threads.on_cores(2))

    changing = threading.Thread(target=changes)
    changing.start()
    try:
        assert {elsewhere(threads.settle) for _ in range(300)} == {1}
    finally:
        stop.set()
        changing.join()


def test_without_another_thread_it_computes_as_all_do(monkeypatch: pytest.MonkeyPatch) -> None:
    threads.one_core_each()

    def begin() -> None:
        monkeypatch.setattr(threading.Thread, "start", refuses)
        threads.all_cores()
        monkeypatch.undo()

    def refuses(_: object) -> None:
        raise RuntimeError("can't start new thread")

    assert elsewhere(begin) == 1
    assert elsewhere(nothing) == 1


@pytest.mark.parametrize("batched", [True, False])
def test_the_llm_writes_on_all_cores(batched: bool) -> None:
    threads.one_core_each()
    model = tiny("llama")
    writer = Writer(model, 2, 10_000_000)
    if not batched:
        writer.loop = None
    found: set[int] = set()
    hook = model.register_forward_pre_hook(lambda *_: found.add(torch.get_num_threads()))
    try:
        request = Request([5, 6, 7], Sampler(model, {"max_new_tokens": 4}, [5, 6, 7]), None)
        writer.submit(request)
        assert len(list(request.tokens())) == 4
    finally:
        hook.remove()
        writer.close(10)
    assert found == {3}
    assert torch.get_num_threads() == 1
