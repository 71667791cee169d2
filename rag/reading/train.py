"""Trains the reader: `python -m rag.reading.train --examples FILE --embedder FOLDER`.

On what `rag.reading.gather` gathered: the public sets first, then twice the texts written for this
project, mixed with a share of the public ones; `--stages` says which of these. A checkpoint is
written every few minutes and taken up again after an interruption.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from rag.checkpoints import load_checkpoint, save_checkpoint
from rag.models.device import pick_device
from rag.reading.example import Example, batches
from rag.reading.gathered import Groups, read_examples
from rag.reading.model import MAX_TOKENS, WEIGHTS, ReaderNetwork, best_span

SEED = 20261121
STAGES = ("public", "own", "again")
_OWN = ("own", "rows", "own cut")
_HELD = "held "
_PEOPLE = "squad2"
_CHECKPOINT_SECONDS = 240
# batches are encoded ahead in so many threads
_ENCODERS, _AHEAD = 4, 8
_WARM_UP = 100
# examples that are looked at together when it is measured
_AT_ONCE = 64
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
# options that decide what comes out
_TOLD = ("freeze", "public", "stages", "share", "rates", "passes", "batch", "mixed")

# a batch of the tokenizer, and the tokens at which the answers start and end, 0 where there is none
Encoded = tuple[Any, torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the training: its examples, learning rate at the start, and passes over them."""

    name: str
    examples: Sequence[Example]
    rate: float
    passes: int


@dataclass(frozen=True, slots=True)
class Computing:
    """Where and how: `size` examples a step; `mixed` is bfloat16 with float32 weights."""

    device: str = "cpu"
    size: int = 12
    mixed: bool = False

    def precision(self) -> AbstractContextManager[Any]:
        """The context in which a step is computed."""
        if not self.mixed:
            return nullcontext()
        kind = torch.device(self.device).type
        context: AbstractContextManager[Any] = torch.autocast(kind, dtype=torch.bfloat16)
        return context


def encode(tokenizer: Any, examples: Sequence[Example]) -> Encoded:
    """Token ids with the start and end token of each answer, 0 where there is none."""
    batch = tokenizer(
        [e.question for e in examples],
        [e.context for e in examples],
        truncation="only_second",
        max_length=MAX_TOKENS,
        padding=True,
        return_offsets_mapping=True,
        return_tensors="pt",
    )
    starts, ends = [], []
    for row, example in enumerate(examples):
        start = batch.char_to_token(row, example.start, 1) if example.start >= 0 else None
        end = batch.char_to_token(row, example.end - 1, 1) if example.start >= 0 else None
        whole = start is not None and end is not None
        starts.append(start if whole else 0)
        ends.append(end if whole else 0)
    return batch, torch.tensor(starts), torch.tensor(ends)


def train(
    network: ReaderNetwork,
    tokenizer: Any,
    stages: Sequence[Stage],
    checkpoint: Path,
    seed: int = SEED,
    computing: Computing = Computing(),
) -> list[dict[str, object]]:
    """Run the stages; returns the log.

    The checkpoint holds weights, optimizer and log, so that a run which was interrupted goes on
    as if it had not been.
    """
    network.to(computing.device).train()
    progress = _Progress(checkpoint, network)
    step = 0
    for stage in stages:
        parameters = [p for p in network.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=stage.rate, weight_decay=0.01)
        order = [
            batch
            for number in range(stage.passes)
            for batch in batches(stage.examples, computing.size, random.Random(seed + number))
        ]
        skipped = min(max(0, progress.done - step), len(order))
        if 0 < skipped < len(order):
            optimizer.load_state_dict(progress.optimizer)
        step += skipped
        for index, encoded in enumerate(_encoded(tokenizer, order[skipped:]), skipped):
            step += 1
            share = index / len(order)
            for group in optimizer.param_groups:
                group["lr"] = stage.rate * min(1.0, (index + 1) / _WARM_UP) * (1.0 - share)
            torch.manual_seed(seed + step)
            loss = _step(network, optimizer, encoded, computing)
            progress.after(step, stage.name, index + 1, len(order), loss, optimizer)
    return progress.log


def _encoded(tokenizer: Any, order: Sequence[list[Example]]) -> Iterator[Encoded]:
    """The batches as tensors, in their order, a few of them ahead of the one that is wanted."""
    waiting: deque[Future[Encoded]] = deque()
    if order:
        encode(tokenizer, order[0])  # sets its truncation, which no two threads may do at once
    with ThreadPoolExecutor(_ENCODERS) as pool:
        for batch in order:
            waiting.append(pool.submit(encode, tokenizer, batch))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


class _Progress:
    """Where a run stands: its checkpoint and its log."""

    def __init__(self, checkpoint: Path, network: ReaderNetwork) -> None:
        self._path = checkpoint
        self._network = network
        self._saved = time.monotonic()
        self.done = 0
        self.optimizer: dict[str, Any] = {}
        self.log: list[dict[str, object]] = []
        self._losses: list[float] = []
        if saved := load_checkpoint(checkpoint):
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
            saved = {"step": step, "log": self.log, "losses": self._losses}
            saved |= {"state": self._network.trained_state(), "optimizer": optimizer.state_dict()}
            save_checkpoint(self._path, saved)
            self._saved = time.monotonic()


def _step(network: ReaderNetwork, optimizer: Any, encoded: Encoded, computing: Computing) -> float:
    batch, *gold = encoded
    starts, ends = (places.to(computing.device) for places in gold)
    inputs = {name: batch[name].to(computing.device) for name in _INPUTS}
    with computing.precision():
        start, end = network(inputs)
    start = start.masked_fill(inputs["attention_mask"] == 0, -1e4)
    end = end.masked_fill(inputs["attention_mask"] == 0, -1e4)
    loss = (functional.cross_entropy(start, starts) + functional.cross_entropy(end, ends)) / 2
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


@torch.no_grad()
def evaluate(
    network: ReaderNetwork,
    tokenizer: Any,
    examples: Sequence[Example],
    computing: Computing = Computing(),
) -> dict[str, Any]:
    """Exact spans where there is an answer, and how well the score tells answers from none."""
    network.eval()
    scores: list[tuple[bool, float, bool]] = []
    parts = [list(examples[at : at + _AT_ONCE]) for at in range(0, len(examples), _AT_ONCE)]
    for part, (encoded, _, _) in zip(parts, _encoded(tokenizer, parts), strict=True):
        with computing.precision():
            logits = network({name: encoded[name].to(computing.device) for name in _INPUTS})
        start, end = (found.cpu().numpy() for found in logits)
        for row, example in enumerate(part):
            inside = np.array([s == 1 for s in encoded.sequence_ids(row)])
            offsets = encoded["offset_mapping"][row].numpy()
            reading = best_span(start[row], end[row], offsets, inside)
            right = (reading.start, reading.end) == (example.start, example.end)
            scores.append((example.start >= 0, reading.score, right))
    network.train()
    yes = np.array([s for has, s, _ in scores if has])
    no = np.array([s for has, s, _ in scores if not has])
    pairs = (yes[:, None] > no[None, :]).mean() if len(yes) and len(no) else None
    exact = np.mean([right for has, _, right in scores if has]) if len(yes) else None
    return {"examples": len(scores), "exact": exact, "auc": pairs}


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
        Stage("public", public, given.rates[0], given.passes[0]),
        Stage("own", [*own, *share], given.rates[1], given.passes[1]),
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
    parser.add_argument("--batch", type=int, default=12, help="examples a step (%(default)s)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--checkpoint", type=Path, default=Path("reader.checkpoint"))
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--threads", type=int, default=1, help="processor threads")
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
    computing = Computing(pick_device(given.device), given.batch, given.mixed)
    log = train(network, tokenizer, stages, given.checkpoint, computing=computing)
    scores = {name: evaluate(network, tokenizer, rows, computing) for name, rows in held.items()}
    print(json.dumps(scores, default=float), flush=True)
    state = network.trained_state()
    state = {name: value.cpu().to(torch.bfloat16).contiguous() for name, value in state.items()}
    save_file(state, given.out)
    made = {name: str(value) for name, value in vars(given).items() if name in _TOLD}
    report = {"seed": SEED, "made": made, "examples": sizes, "held_out": scores, "log": log}
    text = json.dumps(report, indent=1, default=float)
    given.out.with_suffix(".log.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
