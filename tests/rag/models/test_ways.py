"""What is recorded may be computed quicker: only where it is the same, and only while recorded."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional
from transformers.models.llama import modeling_llama
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from rag.models.batch import grouped as grouping
from rag.models.batch import quickened as quickening
from rag.models.batch import recorder as recording
from rag.models.batch.grouped import grouped
from rag.models.batch.heads import Heads
from rag.models.batch.loop import Loop
from rag.models.batch.norms import fused_norms
from rag.models.batch.quickened import quickened
from rag.models.batch.recorder import Choice, Recorder, probe
from rag.models.batch.request import Request
from rag.models.batch.room import Room
from rag.models.batch.rotary import joined_rotary
from rag.models.batch.sampling import Sampler
from rag.models.batch.steps import Attention, Steps, highest
from rag.models.batch.ways import Change, Way, changed, in_force
from rag.models.sharing import on_same_tensors
from tests.rag.models.tiny_models import VOCABULARY, make_tiny, tiny

FLAT = Attention("flat", None)


def ready(name: str = "llama", rows: int = 2, columns: int = 64) -> Steps:
    steps = Steps(tiny(name), FLAT)
    steps.shelf.reserve(rows, columns)
    return steps


def record(run: Callable[[], torch.Tensor]) -> tuple[Callable[[], None], torch.Tensor]:
    """Stands in for a CUDA graph: a replay runs all again."""
    scores = run().clone()

    def replay() -> None:
        scores.copy_(run())

    return replay, scores


def each_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured takes half as long as what was measured before."""
    halvings = itertools.count()
    monkeypatch.setattr(recording, "_seconds", lambda work: 0.5 ** next(halvings))


def counting(owner: Any, name: str, calls: list[str]) -> Change:
    own = getattr(owner, name)

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return own(*args, **kwargs)

    return Change(owner, name, counted)


def norm_model(norm: nn.Module) -> Any:
    return nn.Sequential(nn.Linear(8, 8), norm)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_norms_are_torchs_where_these_are_the_same(dtype: torch.dtype) -> None:
    norm = LlamaRMSNorm(64, eps=1e-5).to(dtype)
    with torch.no_grad():
        norm.weight.copy_(torch.randn(64, generator=torch.Generator().manual_seed(1)))
    given = torch.randn((3, 64), generator=torch.Generator().manual_seed(2)).to(dtype)
    way = fused_norms(norm_model(norm))
    assert way
    right, calls = norm(given), list[str]()
    with in_force([way]), changed([counting(functional, "rms_norm", calls)]):
        found = norm(given)
        assert norm(given.double()).dtype == torch.float64  # as its own forward gives it
    assert calls == ["rms_norm"]
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(found, right, rtol=2 * eps, atol=eps)
    assert "forward" not in vars(norm)


class OnePlusRMSNorm(LlamaRMSNorm):
    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return super().forward(hidden_states) / self.weight * (1 + self.weight)


class OtherEpsilonRMSNorm(LlamaRMSNorm):
    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return functional.rms_norm(hidden_states, self.weight.shape, self.weight, 1e-3)


class GatedRMSNorm(LlamaRMSNorm):
    def forward(self, hidden_states: torch.Tensor, gate: Any = None) -> torch.Tensor:
        return super().forward(hidden_states) * (1 if gate is None else gate)


class BrokenRMSNorm(LlamaRMSNorm):
    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("not of this shape")


@pytest.mark.parametrize("kind", [OnePlusRMSNorm, OtherEpsilonRMSNorm, GatedRMSNorm, BrokenRMSNorm])
def test_norms_that_differ_keep_their_own(kind: type[LlamaRMSNorm]) -> None:
    assert fused_norms(norm_model(kind(16))) is None


def test_gemma_keeps_its_norms() -> None:
    assert fused_norms(tiny("gemma3")) is None
    assert fused_norms(tiny("qwen3")) is not None


@torch.inference_mode()
def test_positions_of_queries_and_keys_are_turned_together() -> None:
    steps = ready()
    way = joined_rotary(steps.model, probe(steps))
    assert way
    own = modeling_llama.apply_rotary_pos_emb
    drawn = torch.Generator().manual_seed(3)
    q, k = (torch.randn((2, heads, 1, 8), generator=drawn) for heads in (4, 2))
    cos, sin = (torch.randn((2, 1, 8), generator=drawn) for _ in range(2))
    calls: list[str] = []
    with in_force([way]), changed([counting(modeling_llama, "rotate_half", calls)]):
        found = modeling_llama.apply_rotary_pos_emb(q, k, cos, sin)
        assert not calls
        several = q.expand(2, 4, 3, 8), k.expand(2, 2, 3, 8), cos, sin
        modeling_llama.apply_rotary_pos_emb(*several)  # a prompt's
        assert len(calls) == 2
    for mine, right in zip(found, own(q, k, cos, sin), strict=True):
        torch.testing.assert_close(mine, right)
    assert modeling_llama.apply_rotary_pos_emb is own


@torch.inference_mode()
def test_positions_that_pair_neighbours_keep_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def neighbours(x: torch.Tensor) -> torch.Tensor:
        return torch.stack((-x[..., 1::2], x[..., ::2]), dim=-1).flatten(-2)

    monkeypatch.setattr(modeling_llama, "rotate_half", neighbours)
    steps = ready()
    assert joined_rotary(steps.model, probe(steps)) is None


@torch.inference_mode()
def test_positions_that_would_be_left_to_their_own_are_no_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a model whose cosines have a place for the heads."""
    own, forward = modeling_llama.apply_rotary_pos_emb, modeling_llama.LlamaRotaryEmbedding.forward

    def placed(*given: Any, **named: Any) -> tuple[torch.Tensor, ...]:
        return tuple(one[:, None] for one in forward(*given, **named))

    def turned(q: Any, k: Any, cos: Any, sin: Any) -> Any:
        return own(q, k, cos[:, 0], sin[:, 0])

    monkeypatch.setattr(modeling_llama.LlamaRotaryEmbedding, "forward", placed)
    monkeypatch.setattr(modeling_llama, "apply_rotary_pos_emb", turned)
    steps = ready()
    assert joined_rotary(steps.model, probe(steps)) is None


@torch.inference_mode()
@pytest.mark.parametrize("name", ["llama", "qwen3", "phi"])
def test_attention_by_products_is_the_same_for_rows_of_all_lengths(name: str) -> None:
    steps = ready(name, rows=3)
    way = grouped(steps.model, probe(steps))
    assert way
    lengths = [40, 7, 63]
    for row, length in enumerate(lengths):
        steps.read(row, random.Random(row).choices(range(VOCABULARY), k=length), 0)
    right = steps.write([1, 2, 3], lengths)
    calls: list[str] = []
    with in_force([way]), changed([counting(torch, "bmm", calls)]):
        found = steps.write([1, 2, 3], lengths)
        assert calls
        del calls[:]
        steps.read(0, [1, 2, 3], 0)  # several tokens of a row
        assert not calls
    torch.testing.assert_close(found, right, rtol=1e-4, atol=1e-5)
    assert steps.model.config._attn_implementation == "sdpa"


@torch.inference_mode()
def test_attention_that_is_not_the_same_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = ready()
    step = probe(steps)
    assert grouped(tiny("bloom"), step) is None  # it attends by itself
    products = grouping._products
    monkeypatch.setattr(grouping, "_products", lambda *both: products(*both) * 1.1)
    assert grouped(steps.model, step) is None


def test_attention_with_more_than_a_mask_is_transformers_own() -> None:
    q, k = torch.ones((1, 2, 1, 4)), torch.ones((1, 2, 8, 4))
    mask = torch.zeros((1, 1, 1, 8))
    assert grouping._attended(nn.Module(), q, k, k, mask) is not None
    assert grouping._attended(nn.Module(), q, k, k, mask, softcap=30.0) is None
    assert grouping._attended(nn.Module(), q, k, k, mask, dropout=0.1) is None
    assert grouping._attended(nn.Module(), q, k, k, None) is None


def test_what_is_changed_is_as_before_after_an_error() -> None:
    norm, own = LlamaRMSNorm(4), modeling_llama.rotate_half
    changes = [Change(norm, "forward", None), Change(modeling_llama, "rotate_half", None)]

    def fail() -> None:
        with changed(changes):
            assert norm.forward is None
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        fail()
    assert "forward" not in vars(norm)
    assert modeling_llama.rotate_half is own


def test_a_model_is_copied_as_it_is_while_another_thread_records() -> None:
    model = make_tiny("llama")
    ways = [way for way in (fused_norms(model),) if way]
    assert ways
    copies: list[Any] = []
    copying = threading.Thread(target=lambda: copies.append(on_same_tensors(model)))
    with in_force(ways):
        copying.start()
        copying.join(0.5)  # where it did not wait, it would end in this time
        assert not copies
    copying.join()
    assert not any("forward" in vars(module) for module in copies[0].modules())


@torch.inference_mode()
def test_memory_at_the_same_place_in_another_shape_is_other_memory() -> None:
    steps = ready(rows=2, columns=64)
    steps.read(0, [1], 0)
    before = steps.shelf.memory
    for layer in steps.shelf.layers:
        _, heads, _, size = layer.keys.shape
        layer.keys = layer.keys.view(4, heads, 32, size)
    assert [cell[0] for cell in steps.shelf.memory] == [cell[0] for cell in before]
    assert steps.shelf.memory != before


class Marked:
    """A way of no effect, or of one on the scores, that tells whether it is in force."""

    def __init__(self, name: str, shift: float = 0.0) -> None:
        self.on = False
        self.shift = shift
        self.way = Way(name, self._force)

    @contextmanager
    def _force(self) -> Iterator[None]:
        head = tiny("llama").lm_head
        own = head.forward
        self.on = True
        with changed([Change(head, "forward", lambda x: own(x) + self.shift * own(x).flip(-1))]):
            try:
                yield
            finally:
                self.on = False


@torch.inference_mode()
def test_ways_are_chosen_that_are_right_and_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    quick, slow, wrong = Marked("quick"), Marked("slow"), Marked("wrong", shift=1.0)
    marked = (quick, slow, wrong)
    took: dict[int, float] = {}

    def made(run: Callable[[], torch.Tensor]) -> tuple[Callable[[], None], torch.Tensor]:
        scores, kept = run().clone(), [one.way for one in marked if one.on]
        took[scores.data_ptr()] = 1.0 - 0.2 * quick.on + 0.2 * slow.on - 0.5 * wrong.on

        def replay() -> None:
            with in_force(kept):
                scores.copy_(run())

        return replay, scores

    monkeypatch.setattr(recording, "_seconds", lambda work: took[work().data_ptr()])
    choice = Choice(ready(), made)
    assert choice.best([one.way for one in marked]) == ([quick.way], 0.8)
    assert choice.betters([quick.way], 0.9)
    assert not choice.betters([wrong.way], 0.9)


@torch.inference_mode()
def test_what_is_tried_is_taken_for_the_rows_that_it_is_faster_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    always, tried = Marked("always"), Marked("tried")
    made: list[tuple[int, bool, bool]] = []
    used: list[int] = []

    def noted(run: Callable[[], torch.Tensor]) -> tuple[Callable[[], None], torch.Tensor]:
        scores, number = run().clone(), len(made)
        made.append((scores.shape[0], always.on, tried.on))
        return (lambda: used.append(number)), scores

    def replayed(recorded: Any) -> float:
        recorded.replay()
        rows, _, fast = made[used[-1]]
        return 0.5 if fast == (rows == 1) else 1.0

    monkeypatch.setattr(recording, "_replayed", replayed)
    recorder = Recorder(ready(), noted, [always.way], [[always.way, tried.way]])
    assert recorder.ways == ["always", "tried"]
    for rows in (1, 2):
        recorder.write([1] * rows, [3] * rows)
        assert made[used[-1]] == (rows, True, rows == 1)
    assert made == [(1, True, False), (1, True, True), (2, True, False), (2, True, True)]


@torch.inference_mode()
def test_what_is_tried_is_left_for_the_rows_that_it_is_wrong_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong, times = Marked("wrong", shift=1.0), itertools.cycle([0.5, 1.0])
    made: list[bool] = []

    def kept(run: Callable[[], torch.Tensor]) -> tuple[Callable[[], None], torch.Tensor]:
        scores, ways = run().clone(), [wrong.way] if wrong.on else []
        made.append(wrong.on)

        def replay() -> None:
            with in_force(ways):
                scores.copy_(run())

        return replay, scores

    monkeypatch.setattr(recording, "_seconds", lambda work: next(times))
    steps = ready()
    steps.read(0, [1, 2, 3], 0)
    right = steps.write([1], [3])
    found = Recorder(steps, kept, (), [[wrong.way]]).write([1], [3])
    assert made == [False, True]
    torch.testing.assert_close(found.scores, right)


@torch.inference_mode()
@pytest.mark.parametrize("wrong", [{"seen": True}, {"mixed": True}, {}])
def test_what_is_tried_is_judged_by_rows_that_differ(
    wrong: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that looks beyond a row's end, or takes another row's text, is wrong for several rows."""
    steps, times = ready(rows=2), itertools.cycle([0.5, 1.0])
    own = type(steps)._masks

    def masks(self: Steps, lengths: torch.Tensor, end: int) -> Any:
        lengths = lengths.flip(0) if wrong.get("mixed") else lengths
        return own(self, torch.full_like(lengths, end) if wrong.get("seen") else lengths, end)

    def kept(run: Callable[[], torch.Tensor]) -> tuple[Callable[[], None], torch.Tensor]:
        forced, scores = list(ways), run().clone()

        def replay() -> None:
            with in_force(forced):
                scores.copy_(run())

        return replay, scores

    ways: list[Way] = []

    @contextmanager
    def force() -> Iterator[None]:
        ways.append(way)
        with changed([Change(type(steps), "_masks", masks)]):
            yield
        ways.clear()

    way = Way("masks", force)
    monkeypatch.setattr(recording, "_seconds", lambda work: (work(), next(times))[1])
    for row, length in enumerate((30, 9)):
        recording.fill(steps, row, length)
    right = steps.write([5, 6], [30, 9])
    recorder = Recorder(steps, kept, (), [[way]])
    found = recorder.write([5, 6], [30, 9])
    recorded = recorder.made([5, 6], [30, 9])
    assert recorded
    assert [one.name for one in recorded.ways] == ([] if wrong else ["masks"])
    torch.testing.assert_close(found.scores, right, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_what_a_wrong_way_left_harms_no_row_and_rows_that_fill_up_judge_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of three rows of four, the fourth has a token without numbers and an empty text."""
    steps, times = ready(rows=4), itertools.cycle([0.5, 1.0])
    value = steps.model.model.layers[0].self_attn.v_proj
    forced: list[str] = []
    own = value.forward

    def force(name: str, forward: Callable[..., Any]) -> Callable[[], Any]:
        @contextmanager
        def forcing() -> Iterator[None]:
            with changed([Change(value, "forward", forward)]):
                forced.append(name)
                yield
                forced.clear()

        return forcing

    none = Way("none", force("none", lambda given: own(given) * torch.nan))
    same = Way("same", force("same", lambda given: own(given)))
    by_name = {"none": none, "same": same}

    def kept(run: Callable[[], torch.Tensor]) -> tuple[Callable[[], None], torch.Tensor]:
        again, scores = [by_name[name] for name in forced], run().clone()

        def replay() -> None:
            with in_force(again):
                scores.copy_(run())

        return replay, scores

    monkeypatch.setattr(recording, "_seconds", lambda work: (work(), next(times))[1])
    words = steps.model.get_input_embeddings().weight
    monkeypatch.setattr(words, "data", words.data.index_fill(0, torch.tensor([0]), 0.0))
    given = [5, 6, 7], [30, 9, 62]
    for row, length in enumerate(given[1]):
        recording.fill(steps, row, length)
    right = steps.write(*given)
    for way, taken in ((none, []), (same, ["same"])):
        recorder = Recorder(steps, kept, (), [[way]])
        found = recorder.write(*given)
        recorded = recorder.made(*given)
        assert recorded
        assert [one.name for one in recorded.ways] == taken
        torch.testing.assert_close(found.scores, right, rtol=1e-4, atol=1e-5)
        assert not any(bool(cell.isnan().any()) for cell in steps.shelf._cells())


@torch.inference_mode()
def test_a_way_that_cannot_be_recorded_is_left() -> None:
    way = Marked("refuses")

    def refuses(run: Callable[[], torch.Tensor]) -> tuple[Callable[[], None], torch.Tensor]:
        if way.on:
            raise RuntimeError("cannot be recorded")
        return record(run)

    steps = ready()
    always, tried = [way.way], [[way.way]]
    for recorder in (Recorder(steps, refuses, always), Recorder(steps, refuses, (), tried)):
        recorder.write([1], [3])
        assert None not in recorder._recorded.values()
    choice = Choice(steps, refuses)
    assert choice.best([])[0] == []
    assert choice.best([way.way])[0] == []


@torch.inference_mode()
def test_no_failure_of_a_way_fails_a_load(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise RuntimeError("no such kernel")

    each_faster(monkeypatch)
    monkeypatch.setattr(quickening, "fused_norms", fails)
    monkeypatch.setattr(quickening, "compiled_layers", fails)
    monkeypatch.setattr(quickening, "_WORTH", 0.0)
    assert quickened(ready(), record).ways == ["rotary", "products", "attention"]
    for name in ("joined_rotary", "joined_products", "grouped"):
        monkeypatch.setattr(quickening, name, fails)
    assert quickened(ready(), record).ways == []
    monkeypatch.setattr(quickening, "Choice", fails)
    steps = ready()
    assert quickened(steps, record).ways == []
    assert not any(bool(cell[0].any()) for cell in steps.shelf._cells())


@pytest.mark.parametrize("number", [0, 1])
def test_steps_recorded_in_all_ways_write_the_same(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a recording stood in for that runs in the ways in which it was made."""
    each_faster(monkeypatch)
    monkeypatch.setattr(quickening, "_WORTH", 0.0)
    own = torch.compile
    monkeypatch.setattr(torch, "compile", lambda run, **given: own(run, backend="eager", **given))
    forced: list[str] = []

    def again(run: Callable[[], torch.Tensor]) -> tuple[Callable[[], None], torch.Tensor]:
        scores = run().clone()

        def replay() -> None:
            with in_force(recorder._tried[number]) if made else in_force(()):
                forced.append(steps.model.config._attn_implementation)
                scores.copy_(run())

        return replay, scores

    made = False
    model, columns = tiny("llama"), 320
    steps = ready(rows=3, columns=columns)
    with torch.inference_mode():
        recorder = quickened(steps, again)
    made = True
    names = [[way.name for way in ways] for ways in recorder._tried]
    assert names == [
        ["norms", "rotary", "products", "attention"],
        ["products", "attention", "compiled"],
    ]
    assert list(recorder._recorded) == [(1, columns), (2, columns)]
    assert not any(bool(cell.any()) for cell in steps.shelf._cells())
    batch = Loop(steps, Room(3 * columns, 3), Heads(0), recorder)
    prompts = [random.Random(size).choices(range(3, VOCABULARY), k=size) for size in (9, 250, 31)]
    asked = [Request(ids, Sampler(model, {"max_new_tokens": 9}, ids), None) for ids in prompts]
    right = []
    for ids in prompts:
        given = torch.tensor([ids])
        whole = model.generate(
            given, attention_mask=torch.ones_like(given), do_sample=False, max_new_tokens=9
        )
        right.append(whole[0, len(ids) :].tolist())
    for one in asked:
        batch.submit(one)
    assert [list(one.tokens()) for one in asked] == right
    assert "cloister_grouped" in forced
    assert model.config._attn_implementation == "sdpa"
    assert not any("forward" in vars(module) for module in model.modules())


def test_the_highest_scores_come_with_their_tokens() -> None:
    scores = torch.tensor([[0.0, 3.0, -1.0], [float("nan"), 1.0, 2.0]], dtype=torch.bfloat16)
    tokens, heights = highest(scores).tolist()
    assert (tokens[0], heights[0]) == (1.0, 3.0)
    assert heights[1] != heights[1]
    last = 2**24 - 1
    wide = torch.zeros((1, last + 1), dtype=torch.bfloat16)
    wide[0, last] = 1
    assert int(highest(wide)[0, 0]) == last


@pytest.mark.parametrize("recorded", [False, True])
def test_a_step_waits_for_the_device_once(recorded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    steps, ids = ready(rows=1), [1, 2, 3]
    asked = Request(ids, Sampler(steps.model, {"max_new_tokens": 6}, ids), None)
    calls: list[str] = []
    for name in ("tolist", "item", "__float__"):
        change = counting(torch.Tensor, name, calls)
        monkeypatch.setattr(change.owner, change.name, change.value)
    recorder = Recorder(steps, record) if recorded else None
    Loop(steps, Room(64, 1), Heads(0), recorder).submit(asked)
    assert len(list(asked.tokens())) == 6
    assert calls.count("tolist") == 5  # the first token is the prompt's
    assert calls.count("item") == 0
    assert calls.count("__float__") == 1
