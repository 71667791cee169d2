"""How fast a whole ingest is, beside the raw embedder and LlamaIndex's stock pipeline.

Whole ingest: walk, hash, store, parse, chunk, embed, write the catalog and both indexes, read
each chunk back. Raw embedder: the same chunk texts through bare sentence-transformers. Models
are loaded and warm in all three. The runs alternate; ratios are medians over the rounds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from _common import (
    Figure,
    Options,
    bench_settings,
    clocked,
    embedder_folder,
    median_ratio,
    raw_embedder,
    run_benchmark,
    run_quietly,
    say,
    scratch,
)
from _documents import make_documents

from rag.errors import CloisterError
from rag.settings import Settings

_HERE = Path(__file__).resolve().parent
_STOCK = _HERE / ".stock"
# without their dependencies, which Cloister has; the last four are what it has not
_STOCK_PACKAGES = (
    "llama-index-readers-file==0.7.0",
    "llama-index-embeddings-huggingface==0.8.0",
    "llama-index-vector-stores-chroma==0.6.0",
    "pandas>=2,<3",
    "pytz",
    "pypdf>=6.1.3,<7",
    "docx2txt",
    "defusedxml",
    "striprtf<0.0.27",
)
_STOCK_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Run:
    """One ingest of the folder: `tokens` are those that the embedder read."""

    seconds: float
    chunks: int
    tokens: int


def measure(options: Options) -> Sequence[Figure]:
    """The figures of this benchmark."""
    count, words, rounds = (12, 200, 1) if options.small else (48, 1500, 3)
    with scratch() as folder:
        documents = folder / "documents"
        make_documents(documents, count, words)
        own, raw, stock = [], [], []
        stock_here = install_stock()
        model = _warm_model(bench_settings(folder / "warm"))
        for number in range(rounds):
            settings = bench_settings(folder / f"home{number}")
            run, texts = ingest(settings, documents)
            own.append(run)
            raw.append(raw_seconds(model, texts, settings.embedder_batch))
            say(f"round {number + 1}: ingest {run.seconds:.1f} s, embedder {raw[-1]:.1f} s")
            if stock_here:
                stock.append(stock_ingest(settings, documents, folder / f"stock{number}"))
                say(f"round {number + 1}: stock pipeline {stock[-1].seconds:.1f} s")
        return _figures(own, raw, stock, count)


def ingest(settings: Settings, documents: Path) -> tuple[Run, list[str]]:
    """Sync the folder into a fresh library; also returns what was embedded."""
    from ingest.sync import register
    from ingest.worker import Worker
    from rag.catalog.documents import count_states
    from rag.catalog.folders import folder_key
    from rag.catalog.index_rows import index_rows
    from rag.library import Library

    library = Library(settings)
    library.load(llm=False)

    def work() -> None:
        key = folder_key(library.catalog, str(documents), "default")
        register(settings, library.catalog, documents, key, "default")
        Worker(library).drain()

    seconds = clocked(work)
    states = count_states(library.catalog)
    if set(states) != {"live"}:
        raise CloisterError(f"Not every generated document could be read: {states}.")
    rows = [row for batch in index_rows(library.catalog) for row in batch]
    texts = [f"{row.context}\n{row.text}" if row.context else row.text for row in rows]
    tokens = sum(len(library.embedder.offsets(text)) for text in texts)
    library.close()
    return Run(seconds, len(texts), tokens), texts


def raw_seconds(model: Any, texts: list[str], batch: int) -> float:
    """The seconds that the bare model takes for the texts; it sorts them by length itself."""
    return clocked(lambda: model.encode(texts, batch_size=batch, normalize_embeddings=True))


def install_stock() -> bool:
    """Put the stock packages into a folder of their own; False where pip cannot get them."""
    done = _STOCK / "installed.json"
    wanted = json.dumps([sys.version_info[:2], *_STOCK_PACKAGES])
    if done.is_file() and done.read_text() == wanted:
        return True
    say("fetching LlamaIndex's stock pipeline into benchmarks/.stock (about 85 MB), once")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade"]
    try:
        run_quietly([*pip, "--target", str(_STOCK), *_STOCK_PACKAGES])
    except CloisterError as error:
        say(f"it cannot be installed, so its ratio is left out. {error}")
        return False
    done.write_text(wanted)
    return True


def stock_ingest(settings: Settings, documents: Path, store: Path) -> Run:
    """LlamaIndex's stock pipeline over the folder, in a child process."""
    arguments = [str(documents), str(embedder_folder(settings)), str(store)]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "CLOISTER_"))}
    child = subprocess.run(
        [sys.executable, str(_HERE / "_stock.py"), *arguments, str(settings.chunk_tokens)],
        env={**kept, "PYTHONPATH": str(_STOCK), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=_STOCK_SECONDS,
        check=False,
    )
    if child.returncode:
        raise CloisterError(f"The stock pipeline failed:\n{child.stderr[-2000:]}")
    return Run(**json.loads(child.stdout.splitlines()[-1]))


def _warm_model(settings: Settings) -> Any:
    model = raw_embedder(settings)
    model.encode(["warm up " * 50] * settings.embedder_batch, batch_size=settings.embedder_batch)
    return model


def _figures(
    own: Sequence[Run], raw: Sequence[float], stock: Sequence[Run], files: int
) -> list[Figure]:
    seconds = [run.seconds for run in own]
    figures = [Figure("whole ingest / raw embedder, chunks/s", median_ratio(raw, seconds), "×")]
    if stock:
        rates = [run.tokens / run.seconds for run in own]
        theirs = [run.tokens / run.seconds for run in stock]
        figures += [
            Figure("whole ingest / stock pipeline, tokens/s", median_ratio(rates, theirs), "×"),
            Figure(
                "stock pipeline / whole ingest, time for the same files",
                median_ratio([run.seconds for run in stock], seconds),
                "×",
            ),
            Figure("stock pipeline, embedded tokens", median(theirs), "tokens/s"),
            Figure("stock pipeline, chunks of the same files", stock[0].chunks, "chunks"),
        ]
        figures.insert(3, Figure("whole ingest, embedded tokens", median(rates), "tokens/s"))
    chunks = own[0].chunks
    return [
        *figures,
        Figure("whole ingest", chunks / median(seconds), "chunks/s"),
        Figure("raw embedder", chunks / median(raw), "chunks/s"),
        Figure(f"chunks of {files} generated documents", chunks, "chunks"),
    ]


if __name__ == "__main__":
    sys.exit(run_benchmark("ingest_rate", __doc__ or "", measure))
