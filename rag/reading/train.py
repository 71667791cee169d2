"""Trains the reader: `python -m rag.reading.train --examples FILE --embedder FOLDER`.

On what `rag.reading.gather` gathered: the public sets first, then twice the texts written for this
project, mixed with a share of the public ones; `--stages` says which of these. A checkpoint is
written every few minutes and taken up again after an interruption.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from rag.checkpoints import load_checkpoint, save_checkpoint
from rag.errors import UsageError
from rag.models.device import pick_device
from rag.reading import WEIGHTS
from rag.reading.encoding import Batch, Encoded, assemble, batches, encode_all
from rag.reading.example import Example
from rag.reading.gathered import Groups, read_examples
from rag.reading.model import LONGEST_SPAN, ReaderNetwork

SEED = 20261121
STAGES = ("public", "own", "again")
_OWN = ("own", "rows", "own cut")
_HELD = "held "
_PEOPLE = "squad2"
_CHECKPOINT_SECONDS = 240
# so many batches are assembled ahead
_AHEAD = 4
_WARM_UP = 100
# examples that are looked at together when it is measured
_AT_ONCE = 64
# a logit of what cannot be
_LOW = -1e4
# options that decide what comes out
_TOLD = ("freeze", "public", "stages", "share", "rates", "passes", "steps", "batch", "mixed")


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the training: its examples, learning rate at the start, and how long.

    That is `passes` over them, or `steps` where that is not 0.
    """

    name: str
    examples: Sequence[Example]
    rate: float
    passes: int
    steps: int = 0


@dataclass(frozen=True, slots=True)
class Computing:
    """Where and how: `size` examples a step, encoded by so many processes.

    `mixed` is bfloat16 with float32 weights.
    """

    device: str = "cpu"
    size: int = 12
    mixed: bool = False
    processes: int = 1

    def precision(self) -> AbstractContextManager[Any]:
        """The context in which a step is computed."""
        if not self.mixed:
            return nullcontext()
        kind = torch.device(self.device).type
        context: AbstractContextManager[Any] = torch.autocast(kind, dtype=torch.bfloat16)
        return context


def train(
    network: ReaderNetwork,
    tokenizer: Any,
    stages: Sequence[Stage],
    checkpoint: Path,
    seed: int = SEED,
    computing: Computing = Computing(),
    made_of: Mapping[str, str] = MappingProxyType({}),
) -> list[dict[str, object]]:
    """Run the stages; returns the log.

    The checkpoint holds weights, optimizer and log, so that a run which was interrupted goes on
    as if it had not been. `made_of` tells what the result depends on. Raises UsageError for a
    checkpoint of a training with something else.
    """
    encoded = _encoded(tokenizer, stages, computing.processes)
    network.to(computing.device).train()
    progress = _Progress(checkpoint, network, dict(made_of))
    step = 0
    for stage in stages:
        parameters = [p for p in network.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=stage.rate, weight_decay=0.01)
        rows = [encoded[example] for example in stage.examples]
        order = _order(rows, stage, computing.size, seed)
        skipped = min(max(0, progress.done - step), len(order))
        if 0 < skipped < len(order):
            optimizer.load_state_dict(progress.optimizer)
        step += skipped
        for index, batch in enumerate(_assembled(order[skipped:]), skipped):
            step += 1
            share = index / len(order)
            for group in optimizer.param_groups:
                group["lr"] = stage.rate * min(1.0, (index + 1) / _WARM_UP) * (1.0 - share)
            torch.manual_seed(seed + step)
            loss = _step(network, optimizer, batch, computing)
            progress.after(step, stage.name, index + 1, len(order), loss, optimizer)
    return progress.log


def _encoded(tokenizer: Any, stages: Sequence[Stage], processes: int) -> dict[Example, Encoded]:
    examples = list(dict.fromkeys(e for stage in stages for e in stage.examples))
    return dict(zip(examples, encode_all(tokenizer, examples, processes), strict=True))


def _order(rows: Sequence[Encoded], stage: Stage, size: int, seed: int) -> list[list[Encoded]]:
    """The batches of a stage in their order, which the seed alone decides."""
    passes = stage.passes
    if stage.steps and rows:
        passes = -(-stage.steps // -(-len(rows) // size))
    order = [
        batch
        for number in range(passes)
        for batch in batches(rows, size, random.Random(seed + number))
    ]
    return order[: stage.steps or len(order)]


def _assembled(order: Sequence[Sequence[Encoded]]) -> Iterator[Batch]:
    """The batches as tensors, a few of them ahead of the one that is wanted."""
    waiting: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(1) as pool:
        for rows in order:
            waiting.append(pool.submit(assemble, rows))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


class _Progress:
    """Where a run stands: its checkpoint and its log."""

    def __init__(self, checkpoint: Path, network: ReaderNetwork, made_of: dict[str, str]) -> None:
        self._path = checkpoint
        self._network = network
        self._made_of = made_of
        self._saved = time.monotonic()
        self.done = 0
        self.optimizer: dict[str, Any] = {}
        self.log: list[dict[str, object]] = []
        self._losses: list[float] = []
        if saved := load_checkpoint(checkpoint):
            if saved["made_of"] != made_of:
                raise UsageError(
                    f"{checkpoint} is of a training with other options or examples. Give the same "
                    "command to go on with it, name another --checkpoint, or delete it."
                )
            network.load_state_dict(saved["state"], strict=False)
            self.done, self.optimizer = saved["step"], saved["optimizer"]
            self.log, self._losses = saved["log"], saved["losses"]
            print(f"resumed after step {self.done}", flush=True)

    def after(
        self, step: int, stage: str, index: int, of: int, loss: float, optimizer: Any
    ) -> None:
        """Note a step; write the log's line and the checkpoint where they are due."""
        self._losses.append(loss)
        if len(self._losses) == 50 or index == of:
            mean = round(sum(self._losses) / len(self._losses), 4)
            row: dict[str, object] = {"stage": stage, "step": index, "of": of, "loss": mean}
            self.log.append(row)
            print(json.dumps(row), flush=True)
            self._losses = []
        if time.monotonic() - self._saved > _CHECKPOINT_SECONDS or index == of:
            saved = {"made_of": self._made_of, "step": step, "log": self.log}
            saved |= {"losses": self._losses}
            saved |= {"state": self._network.trained_state(), "optimizer": optimizer.state_dict()}
            save_checkpoint(self._path, saved)
            self._saved = time.monotonic()


def _step(network: ReaderNetwork, optimizer: Any, batch: Batch, computing: Computing) -> float:
    start, end, _ = _logits(network, batch, computing)
    starts, ends = batch.starts.to(computing.device), batch.ends.to(computing.device)
    loss = (functional.cross_entropy(start, starts) + functional.cross_entropy(end, ends)) / 2
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def _logits(
    network: ReaderNetwork, batch: Batch, computing: Computing
) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Logits of starts and ends, very low where there is padding, and the network's inputs."""
    inputs = {name: values.to(computing.device) for name, values in batch.inputs.items()}
    with computing.precision():
        start, end = network(inputs)
    padding = inputs["attention_mask"] == 0
    return start.masked_fill(padding, _LOW), end.masked_fill(padding, _LOW), inputs


@torch.no_grad()
def evaluate(
    network: ReaderNetwork,
    tokenizer: Any,
    examples: Sequence[Example],
    computing: Computing = Computing(),
) -> dict[str, Any]:
    """Exact spans where there is an answer, and how well the score tells answers from none."""
    network.eval()
    rows = encode_all(tokenizer, examples, computing.processes)
    order = sorted(range(len(rows)), key=lambda number: len(rows[number].ids))
    parts = [order[at : at + _AT_ONCE] for at in range(0, len(order), _AT_ONCE)]
    score, right = np.zeros(len(rows)), np.zeros(len(rows), dtype=bool)
    for part in parts:
        batch = assemble([rows[number] for number in part])
        score[part], right[part] = _judged(network, batch, computing)
    network.train()
    answered = np.array([example.start >= 0 for example in examples])
    yes, no = score[answered], score[~answered]
    pairs = (yes[:, None] > no[None, :]).mean() if len(yes) and len(no) else None
    exact = right[answered].mean() if len(yes) else None
    return {"examples": len(rows), "exact": exact, "auc": pairs}


def _judged(
    network: ReaderNetwork, batch: Batch, computing: Computing
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """For each example the best span's logits above those of no answer, and if it is right."""
    start, end, inputs = _logits(network, batch, computing)
    outside = inputs["token_type_ids"] == 0
    # the token that ends the context is none of its
    outside.scatter_(1, inputs["attention_mask"].sum(dim=1, keepdim=True) - 1, True)
    sums = start.masked_fill(outside, _LOW)[:, :, None] + end.masked_fill(outside, _LOW)[:, None]
    length = torch.arange(sums.shape[-1], device=sums.device)
    length = length[None, :] - length[:, None]
    sums = sums.masked_fill((length < 0) | (length >= LONGEST_SPAN), 2 * _LOW)
    best, place = sums.flatten(1).max(dim=-1)
    places = batch.starts * sums.shape[-1] + batch.ends
    score = best - start[:, 0] - end[:, 0]
    return score.cpu().double().numpy(), (place.cpu() == places).numpy()


def stages_of(groups: Groups, given: argparse.Namespace) -> list[Stage]:
    """The stages that were asked for, of what was gathered and is not held out.

    Of the public examples beside the own ones half are of the set with people's near misses.
    """
    learned = {name: list(rows) for name, rows in groups.items() if not name.startswith(_HELD)}
    rng = random.Random(SEED)
    own = [e for name in _OWN for e in learned.pop(name, [])]
    people = [e for name, rows in learned.items() if name.startswith(_PEOPLE) for e in rows]
    public = [e for rows in learned.values() for e in rows]
    public = rng.sample(public, min(given.public, len(public)))
    most = int(len(own) * given.share)
    share = rng.sample(people, min(most // 2, len(people)))
    share += public[: most - len(share)]
    stages = [
        Stage("public", public, given.rates[0], given.passes[0], given.steps[0]),
        Stage("own", [*own, *share], given.rates[1], given.passes[1], given.steps[1]),
        Stage("again", [*own, *share], given.rates[1] / 2, 1),
    ]
    return [stage for stage in stages if stage.name in given.stages]


def held_out(groups: Groups) -> dict[str, list[Example]]:
    """What is held out, each question with an answer beside those without, by where it is from."""
    held: dict[str, list[Example]] = {}
    for name, rows in groups.items():
        if name.startswith(_HELD):
            held.setdefault(name.removeprefix(_HELD).split()[0], []).extend(rows)
    return held


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=Path, required=True, help="what was gathered")
    parser.add_argument("--embedder", type=Path, required=True, help="folder of the embedder")
    parser.add_argument("--start", type=Path, help="weights to go on from")
    parser.add_argument("--freeze", type=int, default=0, help="lowest layers that stay as they are")
    parser.add_argument("--public", type=int, default=1_000_000, help="most of the public examples")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument(
        "--share", type=float, default=1.0, help="public examples for each own one, in own, again"
    )
    parser.add_argument(
        "--rates", type=float, nargs=2, default=(1.5e-4, 1.2e-4), help="of public, and of own"
    )
    parser.add_argument("--passes", type=int, nargs=2, default=(1, 1), help="of public, and of own")
    parser.add_argument(
        "--steps", type=int, nargs=2, default=(0, 0), help="instead of passes where it is not 0"
    )
    parser.add_argument("--batch", type=int, default=12, help="examples a step (%(default)s)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--checkpoint", type=Path, help="default: beside --out")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--threads", type=int, default=1, help="processor threads")
    parser.add_argument("--processes", type=int, default=1, help="that encode the examples")
    parser.add_argument("--mixed", action="store_true", help="bfloat16 where that is safe")
    return parser.parse_args()


def main() -> None:
    """Train, evaluate on what was held out, and write the weights with their log."""
    given = _arguments()
    torch.manual_seed(SEED)
    torch.set_num_threads(given.threads)
    from safetensors.torch import load_file, save_file
    from transformers import AutoTokenizer

    groups = read_examples(given.examples)
    stages, held = stages_of(groups, given), held_out(groups)
    sizes = {name: len(rows) for name, rows in groups.items()}
    print(json.dumps(sizes | {stage.name: len(stage.examples) for stage in stages}), flush=True)
    network = ReaderNetwork(given.embedder)
    network.freeze(given.freeze)
    tokenizer = AutoTokenizer.from_pretrained(given.embedder, local_files_only=True)
    if given.start:
        network.load_state_dict(load_file(given.start), strict=False)
    computing = Computing(pick_device(given.device), given.batch, given.mixed, given.processes)
    checkpoint = given.checkpoint or given.out.with_suffix(".checkpoint")
    made_of = {name: str(value) for name, value in vars(given).items() if name in _TOLD}
    files = {"examples": given.examples, "start": given.start}
    made_of |= {name: _digest(path) for name, path in files.items() if path}
    try:
        log = train(network, tokenizer, stages, checkpoint, computing=computing, made_of=made_of)
    except UsageError as error:
        raise SystemExit(str(error)) from error
    state = network.trained_state()
    state = {name: value.cpu().to(torch.bfloat16).contiguous() for name, value in state.items()}
    save_file(state, given.out)
    network.load_state_dict(state, strict=False)  # measured is what is stored
    scores = {name: evaluate(network, tokenizer, rows, computing) for name, rows in held.items()}
    print(json.dumps(scores, default=float), flush=True)
    report = {
        "seed": SEED,
        "made_of": made_of,
        "torch": torch.__version__,
        "device": computing.device,
        "sizes": sizes,
        "held_out": scores,
        "log": log,
    }
    text = json.dumps(report, indent=1, default=float)
    given.out.with_suffix(".log.json").write_text(text + "\n")
    checkpoint.unlink(missing_ok=True)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
