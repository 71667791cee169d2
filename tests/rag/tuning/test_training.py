"""Training: interrupted anywhere it ends with the same bits, and it ends when it gets worse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from rag.errors import ModelError, StorageError, UsageError
from rag.models.folder import find_model
from rag.tuning.batching import passes
from rag.tuning.encoding import Encoded, Encoder
from rag.tuning.examples import read_examples
from rag.tuning.learner import is_out_of_memory
from rag.tuning.network import Network
from rag.tuning.recipe import Recipe
from rag.tuning.training import Look, Training
from tests.rag.tuning.tiny import make_model, rows, write_rows

RECIPE = Recipe(seed=5, epochs=3, rank=4, learning_rate=1e-2, batch=3, looks=2, patience=100)
SHORT = replace(RECIPE, epochs=1)


class Bench:
    """Trains the same tiny model on the same rows, as often as is wanted."""

    def __init__(self, models: Path) -> None:
        make_model(models / "tiny")
        self._base = find_model(models, "tiny")
        self._rows = write_rows(models / "x.jsonl", rows("a") + rows("b"))

    def network(self, recipe: Recipe = RECIPE, device: str = "cpu") -> Network:
        network = Network(self._base, device, recipe.rank, recipe.seed)
        network.most_tokens = 400  # so that a step is of two pieces
        return network

    def encoded(self, network: Network) -> list[Encoded]:
        encoder = Encoder(network.tokenizer, [2], 512)
        return [row for _, row in encoder.encode_all(read_examples(self._rows))]

    def training(
        self, checkpoint: Path, recipe: Recipe = RECIPE, device: str = "cpu", **made_of: Any
    ) -> Training:
        network = self.network(recipe, device)
        learned = self.encoded(network)
        given = {"data_sha256": "1", "rank": recipe.rank} | made_of
        batches = list(passes(learned, recipe.batch, recipe.epochs, recipe.seed))
        return Training(network, recipe, batches, learned[:4], checkpoint, given, lambda line: None)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("models"))


def never() -> bool:
    return False


def after(calls: int) -> Callable[[], bool]:
    """Says stop at its so many-th call: between two pieces of a step, or of a look."""
    left = calls

    def stop() -> bool:
        nonlocal left
        left -= 1
        return left < 0

    return stop


def weights(training: Training) -> dict[str, torch.Tensor]:
    return training._network.state()


def test_interrupted_training_ends_with_the_same_bits(bench: Bench, tmp_path: Path) -> None:
    whole = bench.training(tmp_path / "whole.pt")
    assert whole.run(never)
    assert whole.done == whole.steps == 9
    assert whole.looks[-1].loss < whole.looks[0].loss
    stops = 0
    while True:
        part = bench.training(tmp_path / "parts.pt")
        if part.run(after(4)):
            break
        stops += 1
        assert stops < 50
    assert stops > 3
    assert part.looks == whole.looks
    assert part.log == whole.log
    assert all(torch.equal(whole_, weights(part)[name]) for name, whole_ in weights(whole).items())
    again = bench.training(tmp_path / "whole.pt")
    assert again.run(never)
    assert again.looks == whole.looks


def test_it_goes_on_with_the_same_bits_where_less_memory_is_free(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def network(free: int) -> Network:
        monkeypatch.setattr("rag.tuning.network.free_memory", lambda: free)
        return Network(bench._base, "cpu", SHORT.rank, SHORT.seed)

    def training(name: str, network: Network) -> Training:
        rows = bench.encoded(network)
        path = tmp_path / name
        batches = list(passes(rows, SHORT.batch, SHORT.epochs, SHORT.seed))
        return Training(network, SHORT, batches, rows[:4], path, {}, lambda line: None)

    much, little = 2**34, 2**24
    assert network(much).most_tokens == 2048 > network(little).most_tokens > 100
    whole = training("whole.pt", network(much))
    assert whole.run(never)
    assert not training("parts.pt", network(much)).run(after(4))
    part = training("parts.pt", network(little))
    assert part._network.most_tokens == 2048
    assert part.done > 0
    assert part.run(never)
    assert part.looks == whole.looks
    assert all(torch.equal(w, weights(part)[name]) for name, w in weights(whole).items())


def test_smaller_pieces_where_memory_runs_out(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = Network.loss
    fits = 1

    def short(self: Network, piece: Any) -> Any:
        if len(piece.ids) > fits:
            raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate")
        return loss(self, piece)

    alone = bench.training(tmp_path / "alone.pt", SHORT)
    alone._network.most_tokens = 1
    assert alone.run(never)
    monkeypatch.setattr(Network, "loss", short)
    training = bench.training(tmp_path / "x.pt", SHORT)
    before = training._network.most_tokens
    assert training.run(never)
    assert training._network.most_tokens < before
    # the half-done steps left nothing behind
    assert all(torch.equal(w, weights(alone)[name]) for name, w in weights(training).items())
    again = bench.training(tmp_path / "x.pt", SHORT)
    assert again._network.most_tokens == training._network.most_tokens
    fits = 0
    with pytest.raises(ModelError, match="smaller --max-tokens"):
        bench.training(tmp_path / "y.pt", SHORT).run(never)


def test_another_error_is_no_lack_of_memory(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Network, piece: Any) -> Any:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(Network, "loss", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        bench.training(tmp_path / "x.pt").run(never)
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))


def test_logits_of_all_positions_take_memory(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    network = bench.network()
    monkeypatch.setattr("rag.tuning.network.free_memory", lambda: 2**24)
    before = network._room()
    network._keeps = False
    assert network._room() < 0.8 * before


def test_a_full_disk_leaves_no_part_and_is_told(bench: Bench, tmp_path: Path) -> None:
    training = bench.training(tmp_path / "x.pt")
    (tmp_path / "x.pt.part").symlink_to("/dev/full")
    with pytest.raises(StorageError, match=r"x\.pt cannot be written: No space left"):
        training.run(never)
    assert not list(tmp_path.iterdir())
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (tmp_path / f"{name}.part").symlink_to("/dev/full")
        with pytest.raises(StorageError, match=f"{name} cannot be written: No space left"):
            training._network.save(tmp_path)
        assert not list(tmp_path.glob("*.part"))


@pytest.mark.gpu
def test_a_gpu_learns_as_well(bench: Bench, tmp_path: Path) -> None:
    training = bench.training(tmp_path / "x.pt", device="cuda")
    assert training.run(never)
    assert training.best.loss < training.looks[0].loss


@torch.no_grad()
def test_neither_padding_nor_a_common_head_changes_a_loss(bench: Bench) -> None:
    network = bench.network()
    rows = bench.encoded(network)[:4]
    alone = [float(network.loss(piece)) for row in rows for piece in network.pieces([row])]
    network.most_tokens = 4096
    (together,) = network.pieces(rows)
    assert together.head is not None
    assert together.mask is not None
    assert float(network.loss(together)) == pytest.approx(sum(alone), rel=1e-4)
    network._keeps = False
    assert float(network.loss(together)) == pytest.approx(sum(alone), rel=1e-4)


def test_a_common_head_changes_no_gradient(bench: Bench) -> None:
    network = bench.network()
    rows = bench.encoded(network)[:4]
    torch.manual_seed(3)
    for parameter in network.parameters:  # fresh ones of B are 0, and then those of A have none
        torch.nn.init.normal_(parameter, std=0.1)

    def gradients(parts: list[Any]) -> list[torch.Tensor]:
        network.model.zero_grad()
        for part in parts:
            network.loss(part).backward()
        return [p.grad.clone() for p in network.parameters]

    alone = gradients([piece for row in rows for piece in network.pieces([row])])
    network.most_tokens = 4096
    together = gradients(network.pieces(rows))
    assert any(g.abs().max() > 0.01 for g in alone)
    for one, other in zip(alone, together, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-5)


def families(bench: Bench, network: Network) -> list[Encoded]:
    """Three sets of passages of other lengths, asked four, four and one question."""
    longer = [dict(row, passages=row["passages"][::-1] * 2) for row in rows("b")]
    path = write_rows(bench._rows.with_name("y.jsonl"), rows("a") + longer)
    encoder = Encoder(network.tokenizer, [2], 512)
    found = [row for _, row in encoder.encode_all(read_examples(path))]
    return [*found, replace(found[0], ids=found[0].ids[3:], prompt=found[0].prompt - 3)]


@torch.no_grad()
@pytest.mark.parametrize("most", [4096, 400, 1])
def test_packed_examples_have_the_same_loss(bench: Bench, most: int) -> None:
    network = bench.network()
    found = families(bench, network)
    alone = [float(network.loss(piece)) for row in found for piece in network.pieces([row])]
    network.packs, network.most_tokens = True, most
    parts = network.pieces(found)
    shapes = [part.ids.shape for part in parts]
    assert len(parts) == {4096: 1, 1: len(found)}.get(most, len(parts))
    assert all(n == 1 or n * w <= most for n, w in shapes)
    assert sum(part.tokens for part in parts) == sum(len(r.ids) - r.prompt for r in found)
    together = sum(float(network.loss(part)) for part in parts)
    assert together == pytest.approx(sum(alone), rel=1e-4)
    if most == 4096:
        assert shapes[0][0] == 3
        changed = replace(found[1], ids=(*found[1].ids[:-1], 5))
        (other,) = network.pieces([found[0], changed, *found[2:]])
        # an example is not seen by those beside it
        assert float(network.loss(other)) - together == pytest.approx(
            float(network.loss(network.pieces([changed])[0])) - alone[1], rel=1e-3
        )


def test_packed_examples_have_the_same_gradient(bench: Bench) -> None:
    network = bench.network()
    found = families(bench, network)
    torch.manual_seed(3)
    for parameter in network.parameters:
        torch.nn.init.normal_(parameter, std=0.1)

    def gradients() -> list[torch.Tensor]:
        network.model.zero_grad()
        for part in network.pieces(found):
            network.loss(part).backward()
        return [p.grad.clone() for p in network.parameters]

    apart = gradients()
    network.packs, network.most_tokens = True, 4096
    for one, other in zip(apart, gradients(), strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-5)


def test_packed_examples_find_room_where_memory_is_short(bench: Bench) -> None:
    network = bench.network()
    found = families(bench, network)
    network.packs, network.most_tokens = True, 4096
    counts = [len(network.pieces(found))]
    while network.halve(found):
        counts.append(len(network.pieces(found)))
    assert counts[0] == 1
    assert counts == sorted(set(counts))
    assert counts[-1] == len(found)


def test_another_seed_gives_other_weights(bench: Bench, tmp_path: Path) -> None:
    first, second = (
        bench.training(tmp_path / f"{seed}.pt", Recipe(seed=seed, epochs=1, rank=4))
        for seed in (1, 2)
    )
    assert first.run(never)
    assert second.run(never)
    assert any(not torch.equal(w, weights(second)[name]) for name, w in weights(first).items())


def test_it_ends_when_no_look_is_better_and_has_the_best_weights(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([3.0, 2.0, 2.5, 2.25, 1.0])
    monkeypatch.setattr(Training, "_held_out_loss", lambda self, stop: next(losses))
    kept: list[dict[str, torch.Tensor]] = []
    original = Network.state

    def state(self: Network) -> dict[str, torch.Tensor]:
        kept.append(original(self))
        return kept[-1]

    monkeypatch.setattr(Network, "state", state)
    recipe = Recipe(seed=5, epochs=6, rank=4, batch=8, looks=1, patience=2)
    training = bench.training(tmp_path / "x.pt", recipe)
    assert training.run(never)
    assert (training.done, training.steps) == (3, 6)
    assert training.best == Look(1, 2.0)
    # the best and the checkpoint of each of the first two looks, then checkpoints only
    first, _, best, _, *later = kept
    ended = weights(training)
    assert all(torch.equal(w, best[name]) for name, w in ended.items())
    assert any(not torch.equal(w, first[name]) for name, w in ended.items())
    assert any(not torch.equal(w, later[-1][name]) for name, w in ended.items())


def test_a_checkpoint_of_something_else_is_refused(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    assert not bench.training(path).run(after(6))
    with pytest.raises(UsageError, match="data sha256 was 1, and is 2 now"):
        bench.training(path, data_sha256="2")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(StorageError, match=r"x\.pt is damaged"):
        bench.training(path)


def test_the_rate_rises_then_falls_to_nothing() -> None:
    rates = [Recipe(learning_rate=1.0).rate(step, 200) for step in range(200)]
    assert rates[0] == pytest.approx(1 / 12)
    assert rates[11] == 1.0 == max(rates)
    assert rates[12:] == sorted(rates[12:], reverse=True)
    assert rates[-1] < 0.001


@torch.no_grad()
def test_in_bfloat16_the_loss_is_nearly_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = bench.network()
    found = families(bench, network)
    network.packs, network.most_tokens = True, 4096
    (part,) = network.pieces(found)
    exact = float(network.loss(part))
    for parameter in network.model.parameters():
        if not parameter.requires_grad:
            parameter.data = parameter.data.bfloat16()
    network._spare_casts()
    monkeypatch.setattr(
        Network, "_precision", lambda self, torch: torch.autocast("cpu", dtype=torch.bfloat16)
    )
    assert network.model.dtype == torch.bfloat16
    for packs in (True, False):
        network.packs = packs
        rounded = sum(float(network.loss(part)) for part in network.pieces(found))
        assert rounded == pytest.approx(exact, rel=0.02)
