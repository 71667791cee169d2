"""Examples of the reader as tokens: encoded once by several processes, then put into tensors."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rag.reading.example import Example
from rag.reading.model import MAX_TOKENS

# examples that a process encodes at a time
_PART = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Token ids of a question and its context, which begins at `second`.

    The answer's first and last token are `start` and `end`, both 0 where there is none, or where it
    is beyond what is read.
    """

    ids: NDArray[np.integer[Any]]
    second: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Encoded examples as tensors of shape (examples, tokens), and their answers' places."""

    inputs: dict[str, torch.Tensor]
    starts: torch.Tensor
    ends: torch.Tensor


def encode_all(tokenizer: Any, examples: Sequence[Example], processes: int = 1) -> list[Encoded]:
    """Each example as tokens, in their order."""
    parts = [examples[at : at + _PART] for at in range(0, len(examples), _PART)]
    if processes == 1:
        return [row for part in parts for row in _encode(tokenizer, part)]
    with multiprocessing.get_context("fork").Pool(processes, _begin, (tokenizer,)) as pool:
        return [row for rows in pool.imap(_encode_part, parts) for row in rows]


_tokenizer: Any = None


def _begin(tokenizer: Any) -> None:
    global _tokenizer
    _tokenizer = tokenizer


def _encode_part(part: Sequence[Example]) -> list[Encoded]:
    return _encode(_tokenizer, part)


def _encode(tokenizer: Any, part: Sequence[Example]) -> list[Encoded]:
    batch = tokenizer(
        [e.question for e in part],
        [e.context for e in part],
        truncation="only_second",
        max_length=MAX_TOKENS,
    )
    rows = []
    for row, example in enumerate(part):
        start = batch.char_to_token(row, example.start, 1) if example.start >= 0 else None
        end = batch.char_to_token(row, example.end - 1, 1) if example.start >= 0 else None
        place = (start, end) if start is not None and end is not None else (0, 0)
        ids = np.array(batch["input_ids"][row], dtype=np.uint16)
        types = batch["token_type_ids"][row]
        second = types.index(1) if 1 in types else len(types)
        rows.append(Encoded(ids, second, *place))
    return rows


def batches(rows: Sequence[Encoded], size: int, rng: random.Random) -> Iterator[list[Encoded]]:
    """The rows in random batches of similar length."""
    shuffled = sorted(rows, key=lambda row: len(row.ids) * rng.uniform(0.85, 1.15))
    parts = [shuffled[i : i + size] for i in range(0, len(shuffled), size)]
    rng.shuffle(parts)
    return iter([list(part) for part in parts])


def assemble(rows: Sequence[Encoded]) -> Batch:
    """The rows as one batch, padded at their ends with token 0."""
    shape = len(rows), max(len(row.ids) for row in rows)
    ids, types, mask = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    for number, row in enumerate(rows):
        ids[number, : len(row.ids)] = row.ids
        types[number, row.second : len(row.ids)] = 1
        mask[number, : len(row.ids)] = 1
    named = {"input_ids": ids, "token_type_ids": types, "attention_mask": mask}
    return Batch(
        {name: torch.from_numpy(values) for name, values in named.items()},
        torch.tensor([row.start for row in rows]),
        torch.tensor([row.end for row in rows]),
    )
