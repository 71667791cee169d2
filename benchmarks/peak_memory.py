"""The largest memory of an ingest, by the number of files and by the size of one file.

Each ingest is a process of its own. A stand-in gives the vectors, of the size of the starter
embedder's, so that the figures are those of the rest: parsing, cutting, catalog, indexes. A process
that takes in one tiny file shows what loading alone takes, and is subtracted. So is, in the second
figure of each, what the library takes that came of it, opened by another process and asked once:
Chroma holds its graph and its vectors in memory, about 2 KB a chunk, whoever made them. Parsers are
processes of their own, under a limit (`ingest.parse_memory_mb`), and do not count.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _common import ROOT, Figure, Options, bench_settings, run_benchmark, say, scratch
from _documents import Writer, make_pdf
from llama_index.core.base.embeddings.base import BaseEmbedding

from ingest.sync import register
from ingest.worker import Worker
from rag.catalog.documents import count_states
from rag.catalog.folders import folder_key
from rag.errors import CloisterError
from rag.library import Library

_DIMENSIONS = 384
_KIB = 1024
_MIB = 1 << 20


class FlatEmbedding(BaseEmbedding):
    """Vectors by chance, at once."""

    def __init__(self) -> None:
        super().__init__(model_name="flat", embed_batch_size=256)
        self._random = np.random.default_rng(1)

    def _get_text_embedding(self, text: str) -> list[float]:
        made: list[float] = self._random.standard_normal(_DIMENSIONS).tolist()
        return made

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


def measure(options: Options) -> Sequence[Figure]:
    """The figures of this benchmark."""
    counts, sizes, words = (500, 5000), (1, 10, 40), (100_000, 1_000_000)
    if options.small:
        counts, sizes, words = (10, 50), (1,), (2_000,)
    with scratch() as folder:
        least = _peak(folder, _many(folder / "one", 1), "--ingest")
        figures = [Figure("one tiny file: the process, everything loaded", least, "MiB")]
        cases = [(f"{n:,} small files", _many(folder / f"many{n}", n)) for n in counts]
        cases += [(f"one text of {n} MB", _large(folder / f"large{n}", n)) for n in sizes]
        for count in words:
            make_pdf(folder / f"pdf{count}" / "large.pdf", count)
            cases.append((f"one PDF of {count:,} words", folder / f"pdf{count}"))
        for name, documents in cases:
            peak = _peak(folder, documents, "--ingest")
            opened = _peak(folder, documents, "--open")
            figures += [
                Figure(f"{name}, above that", peak - least, "MiB"),
                Figure(f"{name}, above opening what came of it", peak - opened, "MiB"),
            ]
    return figures


def _many(folder: Path, count: int) -> Path:
    writer = Writer(3)
    for number in range(count):
        path = folder / f"part{number // 100}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n\n".join(writer.paragraph() for _ in range(3)), "utf-8")
    return folder


def _large(folder: Path, megabytes: int) -> Path:
    folder.mkdir(parents=True)
    writer = Writer(4)
    written = 0
    with (folder / "large.txt").open("w", encoding="utf-8") as file:
        while written < megabytes * 1_000_000:
            written += file.write(f"{writer.paragraph()}\n\n")
    return folder


def _peak(folder: Path, documents: Path, what: str) -> float:
    """The largest memory in MiB of a process that takes in a folder, or opens its library."""
    home = folder / f"home-{documents.name}"
    done = subprocess.run(
        [sys.executable, str(Path(__file__).resolve()), what, str(documents), str(home)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CloisterError(f"{what} of {documents.name} failed:\n{done.stderr[-1500:]}")
    peak = float(done.stdout.splitlines()[-1])
    say(f"{what} {documents.name}: {peak:.0f} MiB")
    return peak


def _child(what: str, documents: str, home: str) -> None:
    settings = bench_settings(Path(home), embedder_model="peak_memory:FlatEmbedding")
    library = Library(settings)
    library.load(llm=False)
    if what == "--ingest":
        key = folder_key(library.catalog, documents, "default")
        register(settings, library.catalog, Path(documents), key, "default")
        Worker(library).drain()
    library.search("anything at all", None, 5)
    if set(states := count_states(library.catalog)) != {"live"}:
        raise CloisterError(f"Not every generated document could be read: {states}.")
    library.close()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB / _MIB)


if __name__ == "__main__":
    if sys.argv[1:2] in (["--ingest"], ["--open"]):
        _child(*sys.argv[1:])
    else:
        sys.exit(run_benchmark("peak_memory", __doc__ or "", measure))
