"""Completions written together are those that each request gets alone, whatever joins or leaves."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from rag.errors import ModelError
from rag.models.batch import recorder
from rag.models.batch.heads import Heads
from rag.models.batch.loop import Loop
from rag.models.batch.recorder import Recorder, cuda_graph, pays
from rag.models.batch.request import Request
from rag.models.batch.room import Room
from rag.models.batch.sampling import Sampler
from rag.models.batch.steps import Attention, Steps
from rag.models.batch.trial import find_attention, is_right
from rag.models.engine import LocalLLM
from rag.models.writer import Writer, _recorder, cache_for
from tests.rag.models.tiny_models import CONFIGS, SIZES, VOCABULARY, make_tiny, tiny
from tests.rag.tuning.tiny import make_model

FLAT = Attention("flat", None)
TOKENS = 4096


@pytest.fixture(autouse=True, scope="module")
def _one_core() -> Iterator[None]:
    """Tiny matrices are slower on several."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def request(
    ids: Sequence[int],
    most: int = 8,
    stop: threading.Event | None = None,
    name: str = "llama",
    **given: Any,
) -> Request:
    arguments = {"max_new_tokens": most, **given}
    return Request(list(ids), Sampler(tiny(name), arguments, list(ids)), stop)


def prompt(length: int, seed: int = 0) -> list[int]:
    return random.Random(f"{length} {seed}").choices(range(3, VOCABULARY), k=length)


def alone(name: str, ids: Sequence[int], most: int, **given: Any) -> list[int]:
    """What transformers' own `generate` writes for a prompt, without randomness."""
    given_ids = torch.tensor([list(ids)])
    written = tiny(name).generate(
        given_ids,
        attention_mask=torch.ones_like(given_ids),
        do_sample=False,
        max_new_tokens=most,
        **given,
    )
    found: list[int] = written[0, len(ids) :].tolist()
    return found


@cache
def greedy(length: int, most: int) -> list[int]:
    """What the tiny Llama writes for `prompt(length)` alone."""
    return alone("llama", prompt(length), most)


def loop(rows: int = 4, tokens: int = TOKENS, heads: int = 0) -> Loop:
    return Loop(Steps(tiny("llama"), FLAT), Room(tokens, rows), Heads(heads))


def written(asked: Request) -> list[int]:
    return list(asked.tokens())


def settle(batch: Loop) -> None:
    """Wait until the loop's thread has ended; nothing may be left of what it wrote."""
    until = time.monotonic() + 20
    while batch.active or any(thread.name == "generate" for thread in threading.enumerate()):
        assert time.monotonic() < until, "the loop still runs"
        time.sleep(0.005)
    assert batch._shelf.bytes == 0


@contextmanager
def failing(batch: Loop, name: str, error: Exception, when: Callable[..., bool]) -> Iterator[None]:
    """The first call of a step for which `when` holds raises an error."""
    steps, work = batch._steps, getattr(batch._steps, name)
    failed = []

    def step(*args: Any) -> Any:
        if not failed and when(*args):
            failed.append(True)
            raise error
        return work(*args)

    setattr(steps, name, step)
    yield
    assert failed


@pytest.mark.parametrize("name", CONFIGS)
def test_every_architecture_writes_in_a_batch_what_it_writes_alone(name: str) -> None:
    writer = Writer(tiny(name), rows=3, cache_bytes=2**22)
    assert writer.batched
    order = random.Random(name)
    asked = []
    for number in range(9):
        most, length = order.randrange(1, 14), order.randrange(1, 40)
        own = {"repetition_penalty": 1.3} if number % 3 == 0 else {}
        own |= {"min_new_tokens": most} if number % 4 == 0 else {}
        asked.append((request(prompt(length, number), most, name=name, **own), own))
        writer.submit(asked[-1][0])
    for one, own in asked:
        assert written(one) == alone(name, one.ids, one.sampler.most, **own)


def test_the_trial_finds_what_would_be_wrong() -> None:
    assert find_attention(tiny("mistral")) == Attention("flat", 7)
    assert find_attention(tiny("gemma3")) == Attention("kinds", 6)
    assert find_attention(tiny("bloom")) == Attention("rows", None)
    assert not is_right(tiny("mistral"), FLAT)
    assert not is_right(tiny("gemma3"), Attention("flat", 6))
    assert not is_right(tiny("qwen3_sliding"), Attention("flat", 6))
    assert tiny("mistral").config.sliding_window == 7  # as it was


def test_the_rounding_of_many_layers_is_no_fault_of_the_batch() -> None:
    config = transformers.LlamaConfig(
        vocab_size=32_000,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=32,
        num_attention_heads=4,
        num_key_value_heads=1,
        initializer_range=0.08,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
    assert is_right(model, FLAT)


def test_a_window_that_is_not_felt_is_found_in_half_precision() -> None:
    for name, masked in (("mistral", FLAT), ("gemma3", Attention("flat", 6))):
        model = make_tiny(name).to(torch.bfloat16)
        assert find_attention(model) == find_attention(tiny(name))
        assert not is_right(model, masked)


@torch.inference_mode()
def test_a_row_that_fills_a_recorded_step_sees_something_within_a_window() -> None:
    steps = Steps(tiny("mistral"), Attention("flat", 7))
    steps.shelf.reserve(2, 320)
    seen = steps._masks(torch.tensor([30, 319]), 256)[:, 0, 0] == 0
    assert seen[0].nonzero().flatten().tolist() == list(range(24, 31))
    assert seen[1].nonzero().flatten().tolist() == list(range(249, 256))


def test_a_question_of_full_length_fits_where_there_is_memory_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = 2 * 2 * 2 * 8 * 4  # the tiny Llama's: layers, keys and values, heads, width, float32
    monkeypatch.setattr("rag.models.writer.free_memory", lambda: 700 * token)
    question = Writer(tiny("llama"), rows=1, question_tokens=500)
    assert question.loop is not None
    assert question.loop._room.ever(500)
    assert not question.loop._room.ever(700)
    least = Writer(tiny("llama"), rows=1, cache_bytes=505 * token, question_tokens=500)
    assert least.loop is not None
    assert least.loop._room.ever(500)


@pytest.mark.parametrize(
    ("free", "rows", "question", "gpu", "tokens"),
    [
        (100_000, 1, 1000, False, 25_000),
        (100_000, 40, 900, False, 40_001),
        (100_000, 400, 900, False, 85_000),
        (100_000, 40, 900, True, 40_001),
        (100_000, 1, 900, True, 8192),
        (100_000, 400, 900, True, 85_000),
        (100_000, 8, 0, True, 85_000),
    ],
)
def test_the_cache_is_what_the_questions_need_within_what_is_free(
    free: int, rows: int, question: int, gpu: bool, tokens: int
) -> None:
    assert cache_for(free * 64, 64, rows, question, gpu) == tokens * 64


def test_a_lack_of_memory_is_no_fault_of_the_batch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def read(error: Exception) -> Callable[..., Any]:
        def fail(*_: Any) -> Any:
            raise error

        return fail

    monkeypatch.setattr(Steps, "read", read(torch.OutOfMemoryError("CUDA out of memory.")))
    folder = make_model(tmp_path / "tiny")
    with pytest.raises(ModelError, match=r"memory for the weights of the LLM tiny.*llm.precision"):
        LocalLLM(folder, "cpu", "float32")
    assert "batch" not in caplog.text
    monkeypatch.setattr(Steps, "read", read(TypeError("no such argument")))
    assert not Writer(tiny("qwen3"), rows=3).batched
    assert "TypeError: no such argument" in caplog.text


def test_what_no_batch_gets_right_is_written_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(steps: Steps, lengths: torch.Tensor, end: int) -> torch.Tensor:
        return steps._mask(torch.arange(end)[None] < lengths[:, None])

    model = tiny("qwen3")
    with monkeypatch.context() as patch:
        patch.setattr(Steps, "_masks", shifted)
        writer = Writer(model, rows=3)
    assert not writer.batched
    asked = [request(prompt(length), 9, name="qwen3") for length in (300, 5, 30)]
    asked.append(request(prompt(8), 9, name="qwen3", repetition_penalty=1.4))
    for one in asked:
        writer.submit(one)
    for one in asked[:3]:
        assert written(one) == alone("qwen3", one.ids, 9)
    assert written(asked[3]) == alone("qwen3", prompt(8), 9, repetition_penalty=1.4)
    stop = threading.Event()
    endless = request(prompt(5), 400, stop, name="qwen3", min_new_tokens=400)
    writer.submit(endless)
    next(tokens := endless.tokens())
    stop.set()
    assert len(list(tokens)) < 300


def test_long_texts_whose_positions_change_are_written_alone() -> None:
    config = transformers.Phi3Config(
        **SIZES | {"max_position_embeddings": 256},
        original_max_position_embeddings=64,
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 10000.0,
            "short_factor": [1.0] * 4,
            "long_factor": [4.0] * 4,
            "original_max_position_embeddings": 64,
        },
    )
    torch.manual_seed(3)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    writer = Writer(model, rows=4, cache_bytes=2**22)
    assert writer.batched
    asked = []
    for length in (10, 100, 40, 120, 20, 30):
        ids = prompt(length)
        asked.append(Request(ids, Sampler(model, {"max_new_tokens": 6}, ids), None))
        writer.submit(asked[-1])
    found = [written(one) for one in asked]
    for one, tokens in zip(asked, found, strict=True):
        ids = torch.tensor([one.ids])
        whole = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=6
        )
        assert tokens == whole[0, len(one.ids) :].tolist()


@pytest.mark.parametrize("rows", [2, 3])
def test_they_may_join_and_leave_in_every_order(rows: int) -> None:
    sizes = [(1, 9), (70, 2), (9, 5), (300, 12)]
    batch = loop(rows)
    for order in itertools.permutations(sizes):
        asked = [(request(prompt(length), most), length, most) for length, most in order]
        for one, _, _ in asked:
            batch.submit(one)
        for one, length, most in asked:
            assert written(one) == greedy(length, most)
    settle(batch)


def test_requests_join_while_others_write() -> None:
    batch = loop(4)
    order = random.Random(5)
    first = request(prompt(30), 60, min_new_tokens=60)
    batch.submit(first)
    tokens, asked = first.tokens(), []
    for _ in range(12):
        for _ in range(order.randrange(1, 5)):
            next(tokens)
        length, most = order.randrange(1, 60), order.randrange(1, 8)
        asked.append((request(prompt(length), most), length, most))
        batch.submit(asked[-1][0])
    list(tokens)
    assert first.written == alone("llama", prompt(30), 60, min_new_tokens=60)
    for one, length, most in asked:
        assert written(one) == greedy(length, most)


def test_a_seed_repeats_whatever_else_is_written() -> None:
    batch = loop(4)
    given = {"temperature": 1.5, "top_k": 40, "top_p": 0.95}

    def sampled(seed: int | None, others: int) -> list[int]:
        asked = request(prompt(12), 20, seed=seed, **given)
        for number in range(others):
            batch.submit(request(prompt(20 + number), 15))
        batch.submit(asked)
        return written(asked)

    text = sampled(11, 0)
    assert sampled(11, 3) == text
    assert sampled(12, 0) != text
    assert sampled(None, 0) != sampled(None, 0)
    one = request(prompt(12), 8, temperature=2.0, top_k=1, seed=1)
    batch.submit(one)
    assert written(one) == greedy(12, 8)


def test_samples_are_distributed_as_their_scores_say() -> None:
    scores = torch.log(torch.tensor([0.5, 0.3, 0.2, 0.0] + [0.0] * (VOCABULARY - 4)))
    sampler = Sampler(tiny("llama"), {"temperature": 1.0, "seed": 3, "top_k": 0}, [5])
    found = [sampler.choose(scores) for _ in range(3000)]
    for token, share in ((0, 0.5), (1, 0.3), (2, 0.2)):
        assert abs(found.count(token) / len(found) - share) < 0.03
    assert set(found) == {0, 1, 2}


def test_unknown_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="warmth"):
        request([5], warmth=3)


def test_a_common_head_is_read_once() -> None:
    batch = loop(2, heads=400)
    read: list[int] = []
    work = batch._steps.read

    def counting(row: int, ids: Sequence[int], begin: int) -> torch.Tensor:
        read.append(len(ids))
        return work(row, ids, begin)

    batch._steps.read = counting  # type: ignore[method-assign]
    head = prompt(300)
    for number, size in enumerate((10, 20, 30, 40)):
        ids = head + prompt(size, number)
        asked = request(ids, 5)
        batch.submit(asked)
        assert written(asked) == alone("llama", ids, 5)
        # the first shows nothing, the second that the head is common, the others have it
        assert sum(read) == size + (300 if number < 2 else 0)
        read.clear()
    again = request(head + prompt(40, 3), 5)
    batch.submit(again)
    assert written(again) == alone("llama", head + prompt(40, 3), 5)
    assert batch._heads.tokens <= 400


def test_heads_stay_within_their_room() -> None:
    heads = Heads(100)
    assert heads.worth(prompt(60)) == 0
    assert heads.worth(prompt(60)) == 59
    for seed in range(8):
        heads.keep(prompt(40, seed), list)
        assert heads.tokens <= 100
    assert heads.find([*prompt(40, 7), 5]) == ([], 40)
    assert heads.find([*prompt(40, 0), 5]) is None
    assert heads.find([*prompt(40, 7)[:10], 5]) is None


def test_what_runs_stays_within_the_memory() -> None:
    batch = loop(rows=16, tokens=700)
    order, most, asked = random.Random(2), [0], []
    work = batch._steps.write

    def watched(*args: Any) -> torch.Tensor:
        most[0] = max(most[0], batch._shelf.rows * batch._shelf.columns)
        return work(*args)

    batch._steps.write = watched  # type: ignore[method-assign]
    for _ in range(30):
        length = order.randrange(1, 300)
        asked.append((request(prompt(length), 6), length))
        batch.submit(asked[-1][0])
    for one, length in asked:
        assert written(one) == greedy(length, 6)
    assert 0 < most[0] <= 700
    with pytest.raises(ModelError, match="do not fit into the LLM's cache of 700 tokens"):
        batch.submit(request(prompt(400), 301))
    settle(batch)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        torch.OutOfMemoryError("CUDA out of memory."),
        MemoryError(),
    ],
)
def test_a_lack_of_memory_ends_the_one_that_joined_last(error: Exception) -> None:
    batch = loop(4)
    asked = [request(prompt(length), 12) for length in (5, 30, 60)]
    with failing(batch, "write", error, lambda tokens, lengths: len(tokens) == 3):
        for one in asked:
            batch.submit(one)
        assert [written(one) for one in asked[:2]] == [greedy(5, 12), greedy(30, 12)]
        with pytest.raises(ModelError, match="not enough memory"):
            written(asked[2])
    settle(batch)


def test_a_lack_of_memory_for_a_prompt_ends_only_its_request() -> None:
    batch = loop(4)
    asked = [request(prompt(length), 12) for length in (5, 300, 60)]
    short = RuntimeError("out of memory")
    with failing(batch, "read", short, lambda row, ids, begin: begin == 256):
        for one in asked:
            batch.submit(one)
        with pytest.raises(ModelError, match="not enough memory"):
            written(asked[1])
        assert [written(one) for one in asked[::2]] == [greedy(5, 12), greedy(60, 12)]
    settle(batch)


def test_memory_that_cannot_be_taken_ends_only_the_one_that_joins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch = loop(4)
    first, second = request(prompt(5), 40, min_new_tokens=40), request(prompt(300), 5)
    batch.submit(first)
    next(tokens := first.tokens())
    work, calls = batch._shelf.layers[1]._resized, []

    def resized(*args: Any) -> Any:
        if not calls:
            calls.append(1)
            raise RuntimeError("can't allocate memory")
        return work(*args)

    monkeypatch.setattr(batch._shelf.layers[1], "_resized", resized)
    batch.submit(second)
    with pytest.raises(ModelError, match="not enough memory"):
        written(second)
    third = request(prompt(280), 5)
    batch.submit(third)
    assert written(third) == greedy(280, 5)
    list(tokens)
    assert first.written == alone("llama", prompt(5), 40, min_new_tokens=40)
    settle(batch)


def test_a_fault_ends_the_requests_of_its_step_and_no_other() -> None:
    batch = loop(2)
    asked = [request(prompt(length), 6) for length in (5, 9, 12, 15)]
    with failing(batch, "write", ValueError("odd"), lambda tokens, lengths: len(tokens) == 2):
        for one in asked:
            batch.submit(one)
        for one in asked[:2]:
            with pytest.raises(ModelError, match="odd"):
                written(one)
        assert [written(one) for one in asked[2:]] == [greedy(12, 6), greedy(15, 6)]
    settle(batch)


def test_a_fault_of_the_loop_itself_ends_what_runs_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch = loop(2)
    work, calls = batch._drop, []

    def dropping() -> None:
        calls.append(1)
        if len(calls) == 4:
            raise KeyError("a bug")
        work()

    monkeypatch.setattr(batch, "_drop", dropping)
    asked = [request(prompt(length), 30, min_new_tokens=30) for length in (5, 9)]
    for one in asked:
        batch.submit(one)
    for one in asked:
        with pytest.raises(ModelError, match="a bug"):
            written(one)
    last = request(prompt(12), 6)
    batch.submit(last)
    assert written(last) == greedy(12, 6)
    settle(batch)


def test_numbers_that_are_none_harm_no_later_request() -> None:
    batch = loop(2)
    work, calls = batch._steps.write, []
    all_wait = threading.Event()

    def spoiled(tokens: Sequence[int], lengths: Sequence[int]) -> torch.Tensor:
        assert all_wait.wait(30)
        scores = work(tokens, lengths)
        calls.append(1)
        if len(calls) == 2:
            batch._shelf.layers[0].values[1] = torch.nan
            scores[1] = torch.nan
        return scores

    batch._steps.write = spoiled  # type: ignore[method-assign]
    asked = [request(prompt(5), 12), request(prompt(9), 12), request(prompt(60), 6)]
    for one in asked:
        batch.submit(one)
    all_wait.set()
    with pytest.raises(ModelError, match="numbers"):
        written(asked[1])
    assert [written(one) for one in asked[::2]] == [greedy(5, 12), greedy(60, 6)]


def test_cancelling_a_thousand_at_random_moments_leaks_nothing() -> None:
    batch = loop(rows=8, tokens=2000, heads=200)
    order, before = random.Random(9), set(threading.enumerate())
    ended = 0
    for number in range(1000):
        stop = threading.Event()
        asked = request(prompt(order.randrange(1, 50), number % 7), order.randrange(1, 30), stop)
        batch.submit(asked)
        if order.random() < 0.2:
            time.sleep(order.random() * 0.005)
        tokens = asked.tokens()
        if order.random() < 0.5:
            for _ in itertools.islice(tokens, order.randrange(3)):
                pass
        (stop.set if order.random() < 0.5 else asked.leave)()
        if number % 50 == 0:
            list(tokens)
            ended += 1
    settle(batch)
    assert ended == 20
    assert set(threading.enumerate()) == before
    assert batch._heads.tokens <= 200
    last = request(prompt(12), 6)
    batch.submit(last)
    assert written(last) == greedy(12, 6)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.slow)])
def test_requests_of_random_lengths_all_end(count: int) -> None:
    batch = loop(rows=16, tokens=3000)
    order = random.Random(count)
    asked = [
        request(prompt(order.randrange(1, 30), number % 5), order.randrange(1, 12))
        for number in range(count)
    ]
    for one in asked:
        batch.submit(one)
    for one in asked:
        found = written(one)
        assert len(found) == one.sampler.most or found[-1] in one.sampler.ends
    settle(batch)


def test_recorded_steps_write_the_same() -> None:
    records: list[tuple[int, ...]] = []

    def record(run: Callable[[], torch.Tensor]) -> tuple[Callable[[], None], torch.Tensor]:
        scores = run().clone()
        records.append(tuple(scores.shape))

        def replay() -> None:
            scores.copy_(run())

        return replay, scores

    steps = Steps(tiny("llama"), FLAT)
    steps.shelf.reserve(5, 320)
    batch = Loop(steps, Room(5 * 320, 5), Heads(0), Recorder(steps, record))
    sizes = [(30, 12), (1, 9), (70, 2), (9, 5), (290, 12), (12, 7), (260, 9)]
    for _ in range(2):
        asked = [(request(prompt(length), most), length, most) for length, most in sizes]
        for one, _, _ in asked:
            batch.submit(one)
        for one, length, most in asked:
            assert written(one) == greedy(length, most)
    assert {rows for rows, _ in records} <= {1, 2, 4, 5}
    assert len(records) <= 8  # of one, two, four or five rows and of 256 or 320 columns


@torch.inference_mode()
def test_a_recording_that_is_wrong_or_slow_is_not_used() -> None:
    def refuses(run: Callable[[], torch.Tensor]) -> Any:
        raise RuntimeError("cannot be recorded")

    def wrong(run: Callable[[], torch.Tensor]) -> Any:
        return (lambda: None), run().flip(-1)

    def slow(run: Callable[[], torch.Tensor]) -> Any:
        scores = run().clone()
        return (lambda: (time.sleep(0.01), scores.copy_(run()))), scores

    for record in (refuses, wrong, slow):
        assert not pays(ready(), record)
    steps = ready()
    right = steps.write([1], [1])
    assert pays(steps, lambda run: ((lambda: None), right.clone()))


def test_a_recording_that_fails_leaves_the_stream_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a device's streams stood in for: torch stays on its own one where the end raises.

    And all recordings are warmed up on one, for each takes memory that stays.
    """
    now = ["first"]

    class Stream:
        def __init__(self, *_: Any) -> None:
            made.append(self)

        def wait_stream(self, _: Any) -> None:
            pass

    made: list[Stream] = []

    @contextmanager
    def recording(*_: Any, **__: Any) -> Iterator[None]:
        now[0] = "recording"
        try:
            yield
        finally:
            raise RuntimeError("invalidated")

    first = Stream()
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: first)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", object)
    monkeypatch.setattr(torch.cuda, "graph", recording)
    monkeypatch.setattr(torch.cuda, "set_stream", lambda one: now.append(one))
    recorder._side.cache_clear()
    for _ in range(3):
        with pytest.raises(RuntimeError, match="invalidated"):
            cuda_graph(lambda: torch.zeros(1))
        assert now[-1] is first
    recorder._side.cache_clear()
    assert len(made) == 2  # the device's own, and one beside it


@torch.inference_mode()
def test_a_device_that_records_nothing_still_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses() -> None:
        raise RuntimeError("captures_underway.empty() INTERNAL ASSERT FAILED")

    steps = ready()
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "empty_cache", refuses)
        assert _recorder(steps, Room(640, 2), compiles=True) is None
    assert steps.shelf.bytes == 0
    steps.shelf.reserve(1, 64)
    steps.read(0, [0], 0)
    assert steps.write([1], [1]).shape == (1, VOCABULARY)


def ready() -> Steps:
    steps = Steps(tiny("llama"), FLAT)
    steps.shelf.reserve(2, 64)
    steps.read(0, [0], 0)
    return steps
