"""Whether a model fits: the memory that it needs, from its `config.json` alone, and what there is.

    total = weights + attention cache + overhead

Weights and the cache's bytes of a token are exact (rag/models/shape.py), its tokens are those that
the engine takes (rag/models/batch); the overhead is what it computes in between. Its factors are
measured by `benchmarks/fit.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rag.errors import UsageError
from rag.models.quantized import packed_bits
from rag.models.shape import Shape, shape_of

# bytes of a number; 8 and 4 bits are of linear layers only. NF4 has a byte for each 64 numbers and
# a float32 for each 256 of those: double quantization (QLoRA, Dettmers et al. 2023)
_NF4 = 0.5 + 1 / 64 + 4 / (64 * 256)
WIDTHS = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "int8": 1.0, "int4": _NF4}
PRECISIONS = tuple(WIDTHS)
_PACKED = ("int8", "int4")
_NAMES = {2: "bfloat16", 4: "float32"}

# the engine reads one prompt at a time, in pieces of so many tokens; a row of its cache has a
# multiple of so many columns
PIECE_TOKENS = 256
# a tenth of the cache's tokens are those of common beginnings
_ALL, _ROWS = 10, 9
# what packing a layer's weights takes beside them, and adding an adapter's to them, in copies of
# float32; the adapter is there twice meanwhile, as its file has it and in its layers
_PACKING_COPIES, _MERGING_COPIES, _ADAPTER_COPIES = 3, 5, 2
# a scale for each 128 packed numbers, or fewer of them, where only the bits are known
_SCALES = 1.05
# modules of transformers and the tokenizer's, on a processor; on a GPU, once the weights are there,
# cuBLAS' workspaces for the threads and streams on which steps are run, warmed up and recorded, of
# 32 MiB each on a Hopper card
_RUNTIME = {"cpu": 135_000_000, "cuda": 5 * 2**25}
_VOCABULARY_ENTRY = 700
_MOST_TOKENS = 2**31
# on a GPU the engine's cache has room for so many tokens where there is memory for them, since an
# answer may be longer than the settings' own
GPU_TOKENS = 8192


@dataclass(frozen=True, slots=True)
class Needed:
    """The memory that a model takes, in bytes, at one precision.

    `loading` is the most that is in use while it is loaded, before it has answered anything.
    `spare` is what its cache takes more on a GPU where that is free.
    """

    precision: str
    parameters: int
    weights: int
    cache: int
    overhead: int
    loading: int
    spare: int = 0

    @property
    def total(self) -> int:
        """What it takes while it answers."""
        return self.weights + self.cache + self.overhead

    @property
    def peak(self) -> int:
        """What has to be free for it to be loaded and to answer."""
        return max(self.total, self.loading)

    @property
    def most(self) -> int:
        """What it takes where there is enough."""
        return max(self.total + self.spare, self.loading)


def needed(
    config: Mapping[str, Any],
    precision: str,
    context: int,
    concurrency: int,
    device: str,
    *,
    cache_bytes: int = 0,
    stored: int = 0,
    adapter: int = 0,
) -> Needed:
    """The memory for a model of a `config.json` that answers `concurrency` questions at once.

    `context` is how many tokens prompt and answer have together, at most; the window that the model
    was made for is not looked at. `device` is a torch device, as `cpu` or `cuda:0`. `cache_bytes`
    bounds the cache, though never below what one question takes; 0 is no bound. `stored` are the
    bytes of the files of a checkpoint that its makers quantized, 0 where they are not here.
    `adapter` are those of a LoRA adapter's weights, which are put into the model's while it is
    loaded, and stay beside packed ones.
    Raises ModelError for a configuration of no causal language model, UsageError for another
    precision or numbers below 1.
    """
    if precision not in WIDTHS:
        raise UsageError(f"“{precision}” is no precision; use {', '.join(WIDTHS)}.")
    if not (1 <= context <= _MOST_TOKENS and 1 <= concurrency <= _MOST_TOKENS):
        raise UsageError("The context and the number of requests at once must be at least 1.")
    shape = shape_of(config)
    place = device.partition(":")[0]
    width = _compute_width(precision, place)
    runtime = _RUNTIME.get(place, _RUNTIME["cpu"])
    if place == "cpu":
        runtime += shape.vocabulary * _VOCABULARY_ENTRY
    packed = precision in _PACKED
    weights = weights_of(shape, precision, width, place)
    if not packed and (bits := packed_bits(config)):
        weights = stored + shape.buffers if stored else _made(shape, bits, width)
    loading = loading_of(shape, precision, width, place, weights)
    if adapter:
        merging = 0 if packed else _MERGING_COPIES * 4 * shape.hidden * shape.inner
        loading += _ADAPTER_COPIES * adapter + merging
    unpacked = shape.hidden * shape.inner * width + adapter if packed else 0
    cache = _cache(shape, width, context, concurrency, cache_bytes)
    bounded = place != "cuda" or cache_bytes
    return Needed(
        precision=precision,
        parameters=shape.parameters,
        weights=weights,
        cache=cache,
        overhead=runtime + unpacked + _activations(shape, width, context, concurrency),
        loading=loading + (0 if place == "cuda" else runtime),
        spare=0 if bounded else _spare(shape, width, concurrency, cache),
    )


def cache_tokens(context: int, concurrency: int) -> int:
    """The tokens of an engine's cache in which so many questions of a context are answered."""
    columns = -(-context // PIECE_TOKENS) * PIECE_TOKENS
    return _with_heads(concurrency * columns)


def longest(
    config: Mapping[str, Any],
    precision: str,
    concurrency: int,
    device: str,
    free: int,
    most: int,
    *,
    cache_bytes: int = 0,
    stored: int = 0,
    adapter: int = 0,
) -> int:
    """The longest context, up to `most` tokens, with which a model fits into `free` bytes; or 0."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        need = needed(
            config,
            precision,
            middle,
            concurrency,
            device,
            cache_bytes=cache_bytes,
            stored=stored,
            adapter=adapter,
        )
        if need.peak <= free:
            low = middle
        else:
            high = middle - 1
    return low


def _compute_width(precision: str, place: str) -> int:
    """Bytes of the numbers that are computed in; packed weights are as `auto` has it."""
    if precision in _PACKED and place == "cpu":
        from rag.models.device import pick_precision

        return int(pick_precision("auto", place).itemsize)
    return 4 if precision == "float32" else 2


def loading_of(shape: Shape, precision: str, width: int, place: str, weights: int) -> int:
    """The most bytes that are in use while weights of so many are loaded; see `weights_of`."""
    if precision == "int8" and place == "cpu":  # all stays until each layer is packed
        whole = weights_of(shape, _NAMES[width], width, place)
        packing = shape.linear + _PACKING_COPIES * 4 * shape.hidden * shape.inner
        return whole + max(packing, 2 * shape.fused * width)
    return weights + 2 * shape.fused * width


def weights_of(shape: Shape, precision: str, width: int, place: str) -> int:
    """The bytes of weights on `cpu` or `cuda`, where numbers of so many bytes are computed in."""
    single = 4 * shape.single + shape.buffers
    if precision in _PACKED:
        # a scale for each row; our own layers have it in bfloat16 too
        scales = 2 + width if place == "cpu" else 4
        rows = scales * shape.linear_rows if precision == "int8" else 0
        packed = int(shape.linear * WIDTHS[precision]) + rows
        return packed + (shape.parameters - shape.single - shape.linear) * width + single
    return (shape.parameters - shape.single) * width + single


def _made(shape: Shape, bits: int, width: int) -> int:
    """Bytes of weights whose linear layers the makers packed."""
    packed = int(shape.linear * min(bits / 8 * _SCALES, width))
    rest = (shape.parameters - shape.single - shape.linear) * width
    return packed + rest + 4 * shape.single + shape.buffers


def _cache(shape: Shape, width: int, context: int, concurrency: int, bound: int) -> int:
    """Bytes of the engine's cache, which keeps every token in every layer, whatever its window."""
    token = _token(shape, width)
    fixed = sum(layers.count * layers.fixed for layers in shape.cache)
    wanted = cache_tokens(context, concurrency) * token + concurrency * fixed
    if not bound:
        return wanted
    one = _with_heads(context) * token + fixed
    return min(wanted, max(bound, one))


def _spare(shape: Shape, width: int, concurrency: int, cache: int) -> int:
    """Bytes by which a cache of `GPU_TOKENS` is larger; no row is longer than the window."""
    columns = GPU_TOKENS * _ROWS // _ALL // concurrency
    rows = concurrency * (min(columns, shape.window) if shape.window else columns)
    return max(0, rows * _token(shape, width) - cache * _ROWS // _ALL)


def _token(shape: Shape, width: int) -> int:
    return sum(layers.count * layers.each * width for layers in shape.cache)


def _with_heads(tokens: int) -> int:
    return -(-tokens * _ALL // _ROWS)


def _activations(shape: Shape, width: int, context: int, concurrency: int) -> int:
    """Bytes that a piece of one prompt is computed in, and the scores of all next tokens.

    A model that keeps something of a fixed size is in no batch: its prompts are read at once.
    """
    piece = max(min(PIECE_TOKENS, context), concurrency)
    if any(layers.fixed for layers in shape.cache):
        piece = concurrency * min(PIECE_TOKENS, context)
    inner = piece * (4 * shape.inner + 8 * shape.hidden) * width
    scores = piece * context * shape.scores * (4 + 2 * width)
    return inner + scores + concurrency * 3 * 4 * shape.vocabulary
