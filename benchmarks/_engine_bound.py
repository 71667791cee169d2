"""The engine on a model of random weights: how near its decoding is to what the memory allows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from _common import Figure, say
from _random_llama import copy_bandwidth

if TYPE_CHECKING:
    from engine import Bench


def bounded(bench: Bench, counts: Sequence[int]) -> list[Figure]:
    """Decoding against the bound of the memory's bandwidth, and many at once against one."""
    import torch

    model, new = bench.model, bench.sizes.new
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    # of the embedding one row is read
    read = weights - model.get_input_embeddings().weight.nbytes
    bandwidth = copy_bandwidth(model.device)
    if model.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(model.device)  # what was copied is none of the engine's
    bench.stamps(bench.prompts(1, 0), new)
    rates: dict[int, tuple[float, float]] = {}
    for count in counts:
        for number in range(2):  # the first meets shapes that are new
            stamps = bench.stamps(bench.prompts(count, 10 * count + number), new)
        rates[count] = decoding(stamps), count * new / max(times[-1] for times in stamps)
        say(f"{count} at once: {rates[count][0]:.1f} tokens/s while all write")
    one = rates[counts[0]]
    figures = [Figure("one: share of the bandwidth's bound", one[0] * read / bandwidth, "×")]
    for count in counts[1:]:
        figures += [
            Figure(f"{count} at once / one, while all write", rates[count][0] / one[0], "×"),
            Figure(f"{count} at once / one, with their prompts", rates[count][1] / one[1], "×"),
        ]
    figures += [Figure(f"{n} at once, while all write", rates[n][0], "tokens/s") for n in counts]
    loop = bench.writer.loop
    recorder = loop._recorder if loop is not None else None
    if recorder is not None:
        say(f"recorded with quicker: {', '.join(recorder.ways) or 'nothing'}")
    figures += [
        Figure("weights", weights / 2**30, "GiB"),
        Figure("copy bandwidth", bandwidth / 1e9, "GB/s"),
        Figure("steps recorded as CUDA graphs (1: yes)", float(recorder is not None), ""),
    ]
    if model.device.type == "cuda" and loop is not None:
        peak = torch.cuda.max_memory_allocated(model.device)
        figures += [
            Figure("peak memory / estimate of `models fit`", peak / estimated(bench), "×"),
            Figure("peak memory", peak / 2**30, "GiB"),
        ]
    return figures


def estimated(bench: Bench) -> int:
    """The bytes that the check before loading asks for, for as many requests of this length.

    It is told of the configuration alone, with the engine's cache bounded as the engine's is.
    """
    from rag.models.fit import needed

    model, sizes = bench.model, bench.sizes
    precision = str(model.dtype).removeprefix("torch.")
    context = sizes.prompt + sizes.new
    return needed(
        model.config.to_dict(),
        precision,
        context,
        bench.rows,
        model.device.type,
        cache_bytes=bench.cache_bytes or 0,
    ).peak


def decoding(stamps: Sequence[Sequence[float]]) -> float:
    """Tokens a second from the last first token to the first last one."""
    begin, end = max(times[0] for times in stamps), min(times[-1] for times in stamps)
    given = sum(begin < at <= end for times in stamps for at in times)
    return given / (end - begin) if end > begin else 0.0
