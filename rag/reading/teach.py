"""Trains the second reader: `python -m rag.reading.teach --examples FILE --base FOLDER`.

On what `rag.reading.gather` gathered, in the shares of `rag.reading.shares`; FOLDER is the starter
LLM's. A checkpoint is written every few minutes and taken up again after an interruption. As many
tokens a step as are the default want a GPU with some 60 GB.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from torch.nn.utils import parametrize

from rag.checkpoints import write_text, write_whole
from rag.errors import CloisterError, UsageError
from rag.models.batching import by_length
from rag.models.device import be_quiet, pick_device, pick_precision, told_if_not_loaded
from rag.reading import SECOND_WEIGHTS
from rag.reading.asking import Asking
from rag.reading.gathered import held_out, read_examples
from rag.reading.lessons import Batch, Lesson, batch_of, lessons_of, padded
from rag.reading.lowrank import LowRankNetwork
from rag.reading.progress import Progress, ahead, fingerprint
from rag.reading.second import page_of
from rag.reading.shares import Pool, pools_of, stream

# of the batches, and of the weights at first
SEED, WEIGHTS_SEED = 7, 1
_STAGE = "second"
_WARM_UP = 80
_BETAS = (0.9, 0.98)
_MOST_GRADIENT = 1.0
# a logit of what cannot be
_LOW = -1e4
# options that decide what comes out
_TOLD = ("steps", "held", "tokens", "rank", "rate", "precision")


@dataclass(frozen=True, slots=True)
class Schedule:
    """How many steps of how many tokens, and at which learning rate.

    It rises for the first steps, is `rate` up to step `held`, and falls to 0 at the last.
    """

    steps: int = 2227
    held: int = 98
    tokens: int = 65_536
    rate: float = 8e-4

    def __post_init__(self) -> None:
        if not 0 <= self.held < self.steps:
            raise UsageError(
                f"The rate cannot be held for {self.held} of {self.steps} steps. "
                "Give fewer to --held, or more to --steps."
            )
        if self.tokens < 1 or self.rate <= 0:
            raise UsageError("Give --tokens and --rate more than 0.")

    def rate_at(self, step: int) -> float:
        """The learning rate at a step, counted from 1."""
        falling = max(0, step - self.held) / (self.steps - self.held)
        return self.rate * min(1.0, step / _WARM_UP) * (1.0 - falling)


def teach(
    network: LowRankNetwork,
    pools: Sequence[Pool],
    checkpoint: Path,
    schedule: Schedule = Schedule(),
    device: str = "cpu",
    made_of: Mapping[str, str] = MappingProxyType({}),
) -> list[dict[str, object]]:
    """Train on the pools; returns the log.

    The checkpoint holds what is trained, the optimizer and the log, so that a run which was
    interrupted goes on as if it had not been. `made_of` tells what the result depends on. Raises
    UsageError where there is nothing to learn from, and for a checkpoint of a training with
    something else; StorageError for a checkpoint that is damaged or cannot be written.
    """
    if not pools:
        raise UsageError("The examples have no group that the second reader learns from.")
    network.to(device)
    progress = Progress(checkpoint, network, made_of)
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=schedule.rate, weight_decay=0.0, betas=_BETAS)
    if 0 < progress.done < schedule.steps:
        optimizer.load_state_dict(progress.optimizer)
    rest = islice(stream(pools, schedule.tokens, SEED), progress.done, schedule.steps)
    for step, batch in enumerate(ahead(rest, batch_of), progress.done + 1):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate_at(step)
        loss = loss_of(network, batch.to(device))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(parameters, _MOST_GRADIENT)
        optimizer.step()
        mean = float(loss.detach())
        progress.after(step, _STAGE, step, schedule.steps, mean, optimizer)
    return progress.log


def loss_of(network: LowRankNetwork, batch: Batch) -> torch.Tensor:
    """The mean loss of start and end, and that of whether there is an answer, in nats.

    A span is one of the context's tokens, or the last token, which stands for no answer.
    """
    logits = network(batch.ids)
    place = torch.arange(batch.ids.shape[1], device=batch.ids.device)[None]
    allowed = (place >= batch.first[:, None]) & (place < batch.behind[:, None])
    allowed |= place == batch.last[:, None]
    start, end = (logits[..., n].masked_fill(~allowed, _LOW) for n in (0, 1))
    whole = logits[..., 2].gather(1, batch.last[:, None])[:, 0]
    spans = functional.cross_entropy(start, batch.starts) + functional.cross_entropy(
        end, batch.ends
    )
    answered = (batch.starts < batch.last).float()
    return spans / 2 + functional.binary_cross_entropy_with_logits(whole, answered)


def evaluate(
    network: LowRankNetwork, lessons: Sequence[Lesson], tokens: int, device: str = "cpu"
) -> dict[str, Any]:
    """Exact spans where there is an answer, and how well two scores tell answers from none.

    `auc` is that of the logit that the context answers, `auc_span` that of the best span's logits
    above those of no answer; each is None where there is but one kind of lessons. So many tokens
    are read at once, padding included.
    """
    rows = np.zeros((len(lessons), 3))
    with parametrize.cached():  # the changed weights are the same in all batches
        for place, row in _judged(network.to(device), lessons, tokens, device):
            rows[place] = row
    answered = np.array([lesson.answered for lesson in lessons], dtype=bool)
    yes, no = rows[answered], rows[~answered]
    return {
        "examples": len(lessons),
        "exact": float(yes[:, 0].mean()) if len(yes) else None,
        "auc": _auc(yes[:, 1], no[:, 1]),
        "auc_span": _auc(yes[:, 2], no[:, 2]),
    }


@torch.inference_mode()
def _judged(
    network: LowRankNetwork, lessons: Sequence[Lesson], tokens: int, device: str
) -> Iterator[tuple[int, tuple[float, float, float]]]:
    """For each lesson its place, if its span is found, and the scores of an answer and the span."""
    for places in by_length([padded(len(lesson)) for lesson in lessons], tokens):
        batch = batch_of([lessons[place] for place in places])
        logits = network(batch.ids.to(device)).cpu().numpy()
        for row, place in enumerate(places):
            lesson = lessons[place]
            offsets, first = lesson.asked.offsets, lesson.asked.first
            page = page_of(lesson.asked, logits[row])
            found = page.within(0, int(offsets[-1, 1]) if len(offsets) else 0)
            right = lesson.answered and (found.start, found.end) == (
                offsets[lesson.start - first, 0],
                offsets[lesson.end - first, 1],
            )
            yield place, (float(right), page.whole, found.score)


def _auc(yes: Any, no: Any) -> float | None:
    """The share of pairs of an answered and an unanswered one in which the former is above."""
    return float((yes[:, None] > no[None, :]).mean()) if len(yes) and len(no) else None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=Path, required=True, help="what was gathered")
    parser.add_argument("--base", type=Path, required=True, help="folder of the starter LLM")
    usual = Schedule()
    parser.add_argument("--steps", type=int, default=usual.steps, help="(%(default)s)")
    parser.add_argument(
        "--held", type=int, default=usual.held, help="steps before the rate falls (%(default)s)"
    )
    parser.add_argument(
        "--tokens", type=int, default=usual.tokens, help="tokens a step, padded (%(default)s)"
    )
    parser.add_argument("--rank", type=int, default=40, help="of the changes (%(default)s)")
    parser.add_argument("--rate", type=float, default=usual.rate, help="(%(default)s)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", help="of the LLM's own weights")
    parser.add_argument("--compile", action="store_true", help="compile the network first")
    parser.add_argument("--checkpoint", type=Path, help="default: beside --out")
    parser.add_argument("--out", type=Path, default=SECOND_WEIGHTS)
    return parser.parse_args()


def main() -> None:
    """Train, write the weights, measure them on what was held out, and write the log."""
    given = _arguments()
    try:
        _run(given)
    except CloisterError as error:
        raise SystemExit(str(error)) from error


def _run(given: argparse.Namespace) -> None:
    from safetensors.torch import save

    schedule = Schedule(given.steps, given.held, given.tokens, given.rate)
    device = pick_device(given.device)
    precision = pick_precision(given.precision, device)
    files = {"examples": given.examples, "base": given.base / "model.safetensors"}
    made = fingerprint(given, _TOLD, files)
    made["precision"] = str(precision).removeprefix("torch.")
    be_quiet()
    torch.manual_seed(WEIGHTS_SEED)
    with told_if_not_loaded("model", given.base, TypeError, AttributeError):
        network = LowRankNetwork(given.base, given.rank, precision)
        asking = Asking(given.base)
    if given.compile:
        network.model.compile(dynamic=True)
    groups = read_examples(given.examples)
    sizes = {name: len(rows) for name, rows in groups.items()}
    print(json.dumps(sizes), flush=True)
    lessons = lessons_of(asking, groups)
    checkpoint = given.checkpoint or given.out.with_suffix(".checkpoint")
    log = teach(network, pools_of(lessons), checkpoint, schedule, device, made)
    stored = network.stored()
    write_whole(given.out, lambda file: file.write(save(stored)))
    network.take(stored)  # measured is what is stored
    scores = {
        name: evaluate(network, rows, given.tokens, device)
        for name, rows in held_out(lessons).items()
    }
    print(json.dumps(scores), flush=True)
    report = {
        "seeds": {"batches": SEED, "weights": WEIGHTS_SEED},
        "made_of": made,
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if "cuda" in device else device,
        "sizes": sizes,
        "held_out": scores,
        "log": log,
    }
    write_text(given.out.with_suffix(".log.json"), json.dumps(report, indent=1) + "\n")
    checkpoint.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
