"""Whether a model fits: the memory that it needs, from its `config.json` alone, and what there is.

    total = weights + attention cache + overhead

Weights and cache are exact (rag/models/shape.py); the overhead is what the engine computes in
between. Its factors are measured by `benchmarks/fit.py`, which holds the whole to 10 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rag.errors import UsageError
from rag.models.shape import Shape, shape_of

# bytes of a number; 8 and 4 bits are those of bitsandbytes, which packs linear layers only and
# computes in bfloat16: a float32 for each row, or for each 64 numbers of NF4
WIDTHS = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "int8": 1.0, "int4": 0.5 + 4 / 64}
PRECISIONS = tuple(WIDTHS)

# the engine reads a prompt in pieces of so many tokens, and computes several prompts at once
PIECE_TOKENS = 256
# modules of transformers and the tokenizer's, on a processor; cuBLAS' workspaces on a GPU
_RUNTIME = {"cpu": 125_000_000, "cuda": 64_000_000}
_VOCABULARY_ENTRY = 700
_MOST_TOKENS = 2**31


@dataclass(frozen=True, slots=True)
class Needed:
    """The memory that a model takes, in bytes, at one precision.

    `loading` is the most that is in use while it is loaded, before it has answered anything.
    """

    precision: str
    parameters: int
    weights: int
    cache: int
    overhead: int
    loading: int

    @property
    def total(self) -> int:
        """What it takes while it answers."""
        return self.weights + self.cache + self.overhead

    @property
    def peak(self) -> int:
        """What has to be free for it to be loaded and to answer."""
        return max(self.total, self.loading)


def needed(
    config: Mapping[str, Any], precision: str, context: int, concurrency: int, device: str
) -> Needed:
    """The memory for a model of a `config.json` that answers `concurrency` questions at once.

    `context` is how many tokens prompt and answer have together, at most; the window that the model
    was made for is not looked at. `device` is a torch device, as `cpu` or `cuda:0`.
    Raises ModelError for a configuration of no causal language model, UsageError for another
    precision or numbers below 1.
    """
    if precision not in WIDTHS:
        raise UsageError(f"“{precision}” is no precision; use {', '.join(WIDTHS)}.")
    if not (1 <= context <= _MOST_TOKENS and 1 <= concurrency <= _MOST_TOKENS):
        raise UsageError("The context and the number of requests at once must be at least 1.")
    shape = shape_of(config)
    width = 4 if precision == "float32" else 2
    place = device.partition(":")[0]
    runtime = _RUNTIME.get(place, _RUNTIME["cpu"])
    if place == "cpu":
        runtime += shape.vocabulary * _VOCABULARY_ENTRY
    weights = _weights(shape, precision, width)
    return Needed(
        precision=precision,
        parameters=shape.parameters,
        weights=weights,
        cache=concurrency * _cache(shape, width, context),
        overhead=runtime + concurrency * _activations(shape, width, context),
        loading=weights + runtime + 2 * shape.fused * width,
    )


def longest(
    config: Mapping[str, Any], precision: str, concurrency: int, device: str, free: int, most: int
) -> int:
    """The longest context, up to `most` tokens, with which a model fits into `free` bytes; or 0."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if needed(config, precision, middle, concurrency, device).peak <= free:
            low = middle
        else:
            high = middle - 1
    return low


def _weights(shape: Shape, precision: str, width: int) -> int:
    single = 4 * shape.single + shape.buffers
    if precision in ("int8", "int4"):
        rows = 4 * shape.linear_rows if precision == "int8" else 0
        packed = int(shape.linear * WIDTHS[precision]) + rows
        return packed + (shape.parameters - shape.single - shape.linear) * width + single
    return (shape.parameters - shape.single) * width + single


def _cache(shape: Shape, width: int, context: int) -> int:
    """Bytes for one sequence; a window of W keeps W - 1 tokens and the piece that is read."""
    total = 0
    for layers in shape.cache:
        most = layers.window - 1 + PIECE_TOKENS if layers.window else context
        total += layers.count * (layers.each * min(context, most) * width + layers.fixed)
    return total


def _activations(shape: Shape, width: int, context: int) -> int:
    """Bytes that one piece of a prompt is computed in, and the scores of the next token."""
    piece = min(PIECE_TOKENS, context)
    inner = piece * (4 * shape.inner + 8 * shape.hidden) * width
    scores = piece * context * shape.scores * (4 + 2 * width)
    return inner + scores + 3 * 4 * shape.vocabulary
