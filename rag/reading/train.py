"""Trains the reader: `python -m rag.reading.train --data FOLDER --embedder FOLDER`.

Three stages: public sets, then texts written for this project mixed with a share of them, then
further such texts. A checkpoint is written every few minutes and taken up again after an
interruption.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from rag.models.embedder import LocalEmbedding
from rag.reading.examples import Example, batches, covid, natural_questions, own, squad
from rag.reading.model import MAX_TOKENS, WEIGHTS, ReaderNetwork, best_span

SEED = 20261121
_CHECKPOINT_SECONDS = 240
_HELD_OUT_SHARE = 0.1


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
    stages: Sequence[tuple[str, Sequence[Example], float, int]],
    checkpoint: Path,
    size: int = 12,
) -> list[dict[str, object]]:
    """Run the stages (name, examples, learning rate, passes); returns the log."""
    network.train()
    log: list[dict[str, object]] = []
    saved = time.monotonic()
    done = _resume(network, checkpoint)
    step = 0
    for name, examples, rate, passes in stages:
        parameters = [p for p in network.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01)
        order = [
            batch
            for number in range(passes)
            for batch in batches(examples, size, random.Random(SEED + number))
        ]
        losses: list[float] = []
        for index, batch in enumerate(order):
            step += 1
            if step <= done:
                continue
            share = index / len(order)
            for group in optimizer.param_groups:
                group["lr"] = rate * min(1.0, (index + 1) / 100) * (1.0 - share)
            losses.append(_step(network, tokenizer, optimizer, batch))
            if len(losses) == 50:
                row = {"stage": name, "step": step, "of": len(order), "loss": np.mean(losses)}
                log.append(row)
                print(json.dumps(row, default=float), flush=True)
                losses = []
            if time.monotonic() - saved > _CHECKPOINT_SECONDS:
                torch.save({"step": step, "state": network.trained_state()}, checkpoint)
                saved = time.monotonic()
    return log


def _step(network: ReaderNetwork, tokenizer: Any, optimizer: Any, batch: list[Example]) -> float:
    encoded, starts, ends = encode(tokenizer, batch)
    inputs = {k: encoded[k] for k in ("input_ids", "attention_mask", "token_type_ids")}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        start, end = network(inputs)
    start = start.masked_fill(inputs["attention_mask"] == 0, -1e4)
    end = end.masked_fill(inputs["attention_mask"] == 0, -1e4)
    loss = (functional.cross_entropy(start, starts) + functional.cross_entropy(end, ends)) / 2
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def _resume(network: ReaderNetwork, checkpoint: Path) -> int:
    if not checkpoint.is_file():
        return 0
    saved = torch.load(checkpoint, weights_only=True)
    network.load_state_dict(saved["state"], strict=False)
    print(f"resumed after step {saved['step']}", flush=True)
    return int(saved["step"])


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


def main() -> None:
    """Train, evaluate on what was held out, and write the weights beside this module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--embedder", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, default=Path("reader.checkpoint"))
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--public", type=int, default=7500, help="examples of the public sets")
    parser.add_argument("--threads", type=int, default=1, help="processor threads")
    arguments = parser.parse_args()
    torch.manual_seed(SEED)
    torch.set_num_threads(arguments.threads)
    rng = random.Random(SEED)
    from safetensors.torch import save_file
    from transformers import AutoTokenizer

    embedder = LocalEmbedding(arguments.embedder, "auto", "auto", 16)

    def embed(texts: list[str]) -> Any:
        return np.asarray(embedder.get_text_embedding_batch(texts), dtype=np.float32)

    public = [
        *squad(arguments.data / "squad2" / "dev-v2.0.json.gz", embed),
        *natural_questions(arguments.data / "nq_oracle" / "nq-open-oracle.jsonl.gz", embed),
        *covid(arguments.data / "covid_qa" / "200423_covidQA.json.gz", rng),
    ]
    groups = own("part_[abc].jsonl")
    rng.shuffle(groups)
    cut = int(len(groups) * _HELD_OUT_SHARE)
    held = [example for group in groups[:cut] for example in group]
    public = rng.sample(public, min(arguments.public, len(public)))
    first = [example for group in groups[cut:] for example in group]
    later = [example for group in own("part_[def].jsonl") for example in group]
    mixed = first * 2 + public[: len(public) // 5]
    last = later + first[::2]
    sizes = {"public": len(public), "own": len(mixed), "last": len(last), "held": len(held)}
    print(json.dumps(sizes), flush=True)
    network = ReaderNetwork(arguments.embedder)
    tokenizer = AutoTokenizer.from_pretrained(arguments.embedder, local_files_only=True)
    stages = [("public", public, 1.5e-4, 1), ("own", mixed, 1e-4, 1), ("last", last, 7e-5, 1)]
    log = train(network, tokenizer, stages, arguments.checkpoint)
    state = {k: v.to(torch.bfloat16).contiguous() for k, v in network.trained_state().items()}
    save_file(state, arguments.out)
    network.load_state_dict(state, strict=False)
    scores = evaluate(network, tokenizer, held) if held else {}
    report = {"seed": SEED, "log": log, "held_out": scores}
    arguments.out.with_suffix(".log.json").write_text(json.dumps(report, indent=1, default=float))
    print(json.dumps(scores, default=float))


if __name__ == "__main__":
    main()
