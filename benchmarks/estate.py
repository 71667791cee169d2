"""A mixed estate of files, taken in end to end, beside the raw embedder and the stock pipeline.

The estate is taken in by quarters, and after each one the raw embedder gets that quarter's chunk
texts and LlamaIndex's stock pipeline its files, so that a busy machine slows all three. The raw
embedder is bare sentence-transformers in the batch size and precision that are the fastest here,
which a part of the texts decides. Figures are of all quarters together, in embedded tokens a
second.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _common import (
    Figure,
    Options,
    bench_settings,
    clocked,
    raw_embedder,
    run_benchmark,
    say,
    scratch,
)
from _documents import make_estate
from ingest_rate import Run, install_stock, raw_seconds, stock_ingest

from ingest.sync import register
from ingest.worker import Worker
from rag.catalog.documents import count_states
from rag.catalog.folders import folder_key
from rag.catalog.index_rows import index_rows
from rag.errors import CloisterError
from rag.library import Library
from rag.records import with_context
from rag.settings import Settings

FILES = 2000
_QUARTERS = 4
_TRIED = 128


@dataclass(slots=True)
class Taken:
    """What has been measured so far; `seconds` of each side."""

    seconds: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    chunks: int = 0

    def add(self, side: str, seconds: float, tokens: int) -> None:
        """Count a run of one side."""
        self.seconds[side] = self.seconds.get(side, 0.0) + seconds
        self.tokens[side] = self.tokens.get(side, 0) + tokens
        say(f"{side}: {seconds:.1f} s, {tokens / seconds:,.0f} tokens/s")

    def rate(self, side: str) -> float:
        """Embedded tokens a second."""
        return self.tokens[side] / self.seconds[side]


def measure(options: Options) -> Sequence[Figure]:
    """The figures of this benchmark."""
    count = 48 if options.small else options.files
    taken = Taken()
    with scratch() as folder:
        parts = [folder / f"documents{number}" for number in range(_QUARTERS)]
        for number, part in enumerate(parts):
            make_estate(part, count // _QUARTERS, seed=number + 1)
        settings = bench_settings(folder / "home")
        stock_here = install_stock()
        library = Library(settings)
        library.load(llm=False)
        seen: set[str] = set()
        raw: Callable[[list[str]], float] | None = None
        for number, part in enumerate(parts):
            seconds, texts = _ingest(library, part, seen)
            tokens = sum(len(library.embedder.offsets(text)) for text in texts)
            taken.chunks += len(texts)
            taken.add("whole ingest", seconds, tokens)
            raw = raw or _fastest(settings, texts)
            taken.add("raw embedder", raw(texts), tokens)
            if stock_here:
                run: Run = stock_ingest(settings, part, folder / f"stock{number}")
                taken.add("stock pipeline", run.seconds, run.tokens)
        library.close()
    return _figures(taken, count)


def _ingest(library: Library, documents: Path, seen: set[str]) -> tuple[float, list[str]]:
    """Seconds of taking in a folder, and the texts that this embedded."""
    settings, catalog = library.settings, library.catalog

    def work() -> None:
        key = folder_key(catalog, str(documents), "default")
        register(settings, catalog, documents, key, "default")
        Worker(library).drain()

    seconds = clocked(work)
    if set(states := count_states(catalog)) != {"live"}:
        raise CloisterError(f"Not every generated document could be read: {states}.")
    rows = [row for batch in index_rows(catalog) for row in batch if row.id not in seen]
    seen.update(row.id for row in rows)
    return seconds, [with_context(row.context, row.text) for row in rows]


def _fastest(settings: Settings, texts: list[str]) -> Callable[[list[str]], float]:
    """The raw embedder as it is fastest for some of these texts."""
    tried: list[tuple[float, str, int, Any]] = []
    few = texts[:: max(1, len(texts) // _TRIED)][:_TRIED]
    for precision in ("auto", "float32"):
        model = raw_embedder(bench_settings(settings.home, embedder_precision=precision))
        raw_seconds(model, few[:32], 8)
        tried += [(raw_seconds(model, few, n), precision, n, model) for n in (8, 32)]
    _, precision, batch, model = min(tried, key=lambda one: one[0])
    say(f"the raw embedder is fastest with precision {precision} and batches of {batch}")
    return lambda those: raw_seconds(model, those, batch)


def _figures(taken: Taken, files: int) -> list[Figure]:
    own = taken.rate("whole ingest")
    figures = [Figure("whole ingest / raw embedder", own / taken.rate("raw embedder"), "×")]
    if "stock pipeline" in taken.tokens:
        figures += [
            Figure("whole ingest / stock pipeline", own / taken.rate("stock pipeline"), "×"),
            Figure(
                "stock pipeline / whole ingest, time for the same files",
                taken.seconds["stock pipeline"] / taken.seconds["whole ingest"],
                "×",
            ),
        ]
    figures += [Figure(side, taken.rate(side), "tokens/s") for side in taken.tokens]
    figures.append(Figure(f"chunks of {files:,} generated files", taken.chunks, "chunks"))
    return figures


if __name__ == "__main__":
    sys.exit(run_benchmark("estate", __doc__ or "", measure, FILES))
