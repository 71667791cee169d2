"""Trains the reader: `python -m rag.reading.train --data FOLDER --embedder FOLDER`.

Public sets first, then twice the texts written for this project, mixed with a share of the public
ones; `--stages` says which of these. A checkpoint is written every few minutes and taken up again
after an interruption.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from rag.checkpoints import load_checkpoint, save_checkpoint
from rag.models.embedder import LocalEmbedding
from rag.reading.examples import (
    PARTS,
    Embed,
    Example,
    batches,
    covid,
    natural_questions,
    own,
    own_libraries,
    squad,
    table_rows,
)
from rag.reading.model import MAX_TOKENS, WEIGHTS, ReaderNetwork, best_span

SEED = 20261121
STAGES = ("public", "own", "again")
_CHECKPOINT_SECONDS = 240
_HELD_OUT_EVERY = 9
# questions of one article of SQuAD 1.1, of which there are 442
_OF_AN_ARTICLE = 100


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the training: its examples, learning rate at the start, and passes over them."""

    name: str
    examples: Sequence[Example]
    rate: float
    passes: int


def encode(tokenizer: Any, examples: Sequence[Example]) -> tuple[Any, torch.Tensor, torch.Tensor]:
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
    size: int = 12,
    mixed: bool = False,
) -> list[dict[str, object]]:
    """Run the stages; returns the log.

    The checkpoint holds weights, optimizer and log, so that a run which was interrupted goes on
    as if it had not been. `mixed` computes in bfloat16 where that is safe, with float32 weights.
    """
    network.train()
    progress = _Progress(checkpoint, network)
    step = 0
    for stage in stages:
        parameters = [p for p in network.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=stage.rate, weight_decay=0.01)
        order = [
            batch
            for number in range(stage.passes)
            for batch in batches(stage.examples, size, random.Random(seed + number))
        ]
        if step < progress.done < step + len(order):
            optimizer.load_state_dict(progress.optimizer)
        for index, batch in enumerate(order):
            step += 1
            if step <= progress.done:
                continue
            share = index / len(order)
            for group in optimizer.param_groups:
                group["lr"] = stage.rate * min(1.0, (index + 1) / 100) * (1.0 - share)
            torch.manual_seed(seed + step)
            loss = _step(network, tokenizer, optimizer, batch, mixed)
            progress.after(step, stage.name, index + 1, len(order), loss, optimizer)
    return progress.log


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


def _step(
    network: ReaderNetwork, tokenizer: Any, optimizer: Any, batch: list[Example], mixed: bool
) -> float:
    encoded, starts, ends = encode(tokenizer, batch)
    inputs = {k: encoded[k] for k in ("input_ids", "attention_mask", "token_type_ids")}
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
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
def evaluate(network: ReaderNetwork, tokenizer: Any, examples: Sequence[Example]) -> dict[str, Any]:
    """Exact spans where there is an answer, and how well the score tells answers from none."""
    network.eval()
    scores: list[tuple[bool, float, bool]] = []
    for begin in range(0, len(examples), 32):
        part = examples[begin : begin + 32]
        encoded, _, _ = encode(tokenizer, part)
        inputs = {k: encoded[k] for k in ("input_ids", "attention_mask", "token_type_ids")}
        start, end = network(inputs)
        for row, example in enumerate(part):
            inside = np.array([s == 1 for s in encoded.sequence_ids(row)])
            offsets = encoded["offset_mapping"][row].numpy()
            reading = best_span(start[row].numpy(), end[row].numpy(), offsets, inside)
            right = (reading.start, reading.end) == (example.start, example.end)
            scores.append((example.start >= 0, reading.score, right))
    network.train()
    yes = np.array([s for has, s, _ in scores if has])
    no = np.array([s for has, s, _ in scores if not has])
    pairs = (yes[:, None] > no[None, :]).mean() if len(yes) and len(no) else None
    exact = np.mean([right for has, _, right in scores if has])
    return {"examples": len(scores), "exact": exact, "auc": pairs}


def public_examples(
    data: Path, squad_train: Path | None, embed: Embed, rng: random.Random, most: int
) -> list[Example]:
    """At most `most` examples of the public sets, in a folder with one folder for each set.

    With the training part of SQuAD 1.1 two thirds are from it.
    """
    if squad_train:
        first = squad(squad_train, embed, rng, most // 3, _OF_AN_ARTICLE)
        first = rng.sample(first, min(len(first), 2 * most // 3))
        found = [*first, *public_examples(data, None, embed, rng, most - len(first))]
        return rng.sample(found, len(found))
    found = [
        *squad(data / "squad2" / "dev-v2.0.json.gz", embed, rng, most // 3),
        *natural_questions(data / "nq_oracle" / "nq-open-oracle.jsonl.gz", embed, rng, most // 4),
        *covid(data / "covid_qa" / "200423_covidQA.json.gz", rng, most // 4),
    ]
    return rng.sample(found, min(most, len(found)))


def own_examples(embed: Embed, rng: random.Random, held_out: bool, parts: str) -> list[Example]:
    """The examples written for this project to train on, or those of the libraries held out.

    `parts` says which of the files, as a pattern of `fnmatch`.
    """
    return [e for library in own_libraries_of(held_out, parts) for e in own(library, embed, rng)]


def row_examples(rng: random.Random, held_out: bool, parts: str) -> list[Example]:
    """As `own_examples`: the rows of those texts' tables, each alone with its labels."""
    libraries = own_libraries_of(held_out, parts)
    return [e for library in libraries for row in library for e in table_rows(row, rng)]


def own_libraries_of(held_out: bool, parts: str = PARTS) -> list[list[dict[str, Any]]]:
    """The libraries of own texts that are held out of any training, or the others."""
    wanted = own_libraries(parts=parts)
    # counted among all, so that what is held out is held out of any part
    return [
        library
        for number, library in enumerate(own_libraries())
        if library in wanted and held_out == (number % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1)
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--embedder", type=Path, required=True)
    parser.add_argument("--squad-train", type=Path, help="train-v1.1.json of SQuAD, if at hand")
    parser.add_argument("--start", type=Path, help="weights to go on from")
    parser.add_argument("--freeze", type=int, default=0, help="lowest layers that stay as they are")
    parser.add_argument("--own", type=int, default=100_000, help="most examples of the own texts")
    parser.add_argument("--public", type=int, default=15_000, help="most examples of public sets")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument(
        "--share",
        type=float,
        default=1 / 12,
        help="public examples for each own one, in own, again",
    )
    parser.add_argument("--checkpoint", type=Path, default=Path("reader.checkpoint"))
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--threads", type=int, default=1, help="processor threads")
    parser.add_argument("--parts", default=PARTS, help="which of the own texts, as a file pattern")
    parser.add_argument("--mixed", action="store_true", help="bfloat16 where that is safe")
    return parser.parse_args()


def main() -> None:
    """Train, evaluate on what was held out, and write the weights beside this module."""
    arguments = _arguments()
    torch.manual_seed(SEED)
    torch.set_num_threads(arguments.threads)
    from safetensors.torch import load_file, save_file
    from transformers import AutoTokenizer

    embedder = LocalEmbedding(arguments.embedder, "auto", "auto", 16)

    def embed(texts: list[str]) -> Any:
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        vectors = embedder.get_text_embedding_batch([texts[i] for i in order])
        return np.asarray(vectors, dtype=np.float32)[np.argsort(order)]

    rng = random.Random(SEED)
    public_only = list(arguments.stages) == ["public"]
    kept = [] if public_only else own_examples(embed, rng, False, arguments.parts)
    kept = rng.sample(kept, min(arguments.own, len(kept)))
    rows = [] if public_only else row_examples(rng, False, arguments.parts)
    held, held_rows = own_examples(embed, rng, True, PARTS), row_examples(rng, True, PARTS)
    public = public_examples(
        arguments.data, arguments.squad_train, embed, random.Random(SEED), arguments.public
    )
    sizes = {"public": len(public), "own": len(kept), "rows": len(rows), "held": len(held)}
    kept += rows
    print(json.dumps(sizes), flush=True)
    network = ReaderNetwork(arguments.embedder)
    network.freeze(arguments.freeze)
    tokenizer = AutoTokenizer.from_pretrained(arguments.embedder, local_files_only=True)
    share = public[: int(len(kept) * arguments.share)]
    stages = [
        Stage("public", public, 1.5e-4, 1),
        Stage("own", [*kept, *share], 1.2e-4, 1),
        Stage("again", [*kept, *share], 6e-5, 1),
    ]
    if arguments.start:
        network.load_state_dict(load_file(arguments.start), strict=False)
    stages = [stage for stage in stages if stage.name in arguments.stages]
    log = train(network, tokenizer, stages, arguments.checkpoint, mixed=arguments.mixed)
    scores = {
        "held_out": evaluate(network, tokenizer, held),
        "held_out_rows": evaluate(network, tokenizer, held_rows),
    }
    print(json.dumps(scores, default=float))
    state = {k: v.to(torch.bfloat16).contiguous() for k, v in network.trained_state().items()}
    save_file(state, arguments.out)
    report = {"seed": SEED, "examples": sizes, "log": log} | scores
    text = json.dumps(report, indent=1, default=float)
    arguments.out.with_suffix(".log.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
