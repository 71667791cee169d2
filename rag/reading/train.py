"""Trains the reader: `python -m rag.reading.train --examples FILE --embedder FOLDER`.

On what `rag.reading.gather` gathered: the public sets first, then twice the texts written for this
project, mixed with a share of the public ones; `--stages` says which of these. A checkpoint is
written every few minutes and taken up again after an interruption.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from rag.errors import UsageError
from rag.models.device import pick_device
from rag.reading import WEIGHTS
from rag.reading.encoding import Batch, Encoded, assemble, batches, encode_all
from rag.reading.example import Example
from rag.reading.gathered import HELD, Groups, held_out, read_examples
from rag.reading.model import LONGEST_SPAN, ReaderNetwork
from rag.reading.progress import Progress, ahead, fingerprint

SEED = 20261121
STAGES = ("public", "own", "again")
_OWN = ("own", "rows", "own cut")
_PEOPLE = "squad2"
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
    progress = Progress(checkpoint, network, made_of)
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
        for index, batch in enumerate(ahead(order[skipped:], assemble), skipped):
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
    learned = {name: list(rows) for name, rows in groups.items() if not name.startswith(HELD)}
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
    made = fingerprint(given, _TOLD, {"examples": given.examples, "start": given.start})
    try:
        log = train(network, tokenizer, stages, checkpoint, computing=computing, made_of=made)
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
        "made_of": made,
        "torch": torch.__version__,
        "device": computing.device,
        "sizes": sizes,
        "held_out": scores,
        "log": log,
    }
    text = json.dumps(report, indent=1, default=float)
    given.out.with_suffix(".log.json").write_text(text + "\n")
    checkpoint.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
