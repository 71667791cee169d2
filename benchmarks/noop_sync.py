"""What a sync of an unchanged folder costs, beside walking the folder and `stat`ing its files.

The folder's files are few words each; they were read into the library before, with a stand-in
for the embedder, since a no-op sync embeds nothing. Measured are the comparison alone
(`ingest.sync.register`, in this process) and the whole process `cloister ingest sync`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from _common import (
    Figure,
    Options,
    alternate,
    bench_settings,
    clocked,
    command,
    environment,
    run_benchmark,
    run_quietly,
    say,
    scratch,
)

from ingest.discover import RACY_NANOSECONDS
from rag.errors import CloisterError
from rag.settings import Settings

_EMBEDDER = "rag.testing:FakeEmbedding"
_FOLDER_FILES = 200


def measure(options: Options) -> Sequence[Figure]:
    """The figures of this benchmark."""
    count, rounds = (200, 3) if options.small else (10_000, 9)
    with scratch() as folder:
        documents = folder / "documents"
        make_files(documents, count)
        settings = bench_settings(folder / "home", embedder_model=_EMBEDDER)
        prepared = clocked(lambda: take_in(settings, documents))
        say(f"{count} files are in the library after {prepared:.0f} s")
        return _measure(settings, documents, count, rounds)


def make_files(folder: Path, count: int) -> None:
    """Write small text files, then wait until a sync may trust their times."""
    for number in range(count):
        path = folder / f"part{number // _FOLDER_FILES:03}" / f"note{number:05}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"Note {number} says that pump {number * 7919 % 100_003} was serviced.\n")
    time.sleep(RACY_NANOSECONDS / 1e9 + 0.1)


def take_in(settings: Settings, folder: Path) -> None:
    """Register the folder's files and read them all."""
    from ingest.sync import register
    from ingest.worker import Worker
    from rag.catalog.documents import count_states
    from rag.catalog.folders import folder_key
    from rag.library import Library

    library = Library(settings)
    library.load(llm=False)
    key = folder_key(library.catalog, str(folder), "default")
    registered = clocked(lambda: register(settings, library.catalog, folder, key, "default"))
    say(f"registered in {registered:.1f} s")
    Worker(library).drain()
    states = count_states(library.catalog)
    library.close()
    if set(states) != {"live"}:
        raise CloisterError(f"Not every generated file could be read: {states}.")


def walk_and_stat(folder: Path) -> int:
    """How many files `os.walk` lists below a folder, each looked at by `os.stat`."""
    count = 0
    for place, _, names in os.walk(folder):
        for name in names:
            os.stat(f"{place}/{name}")  # noqa: PTH116 - the bare call is what is compared with
            count += 1
    return count


def _measure(settings: Settings, folder: Path, count: int, rounds: int) -> list[Figure]:
    from ingest.sync import register
    from rag.catalog.folders import folder_key
    from rag.library import open_catalog

    catalog = open_catalog(settings)
    key = folder_key(catalog, str(folder), "default")

    def compare() -> None:
        report = register(settings, catalog, folder, key, "default")
        if report.unchanged != count or report.new or report.changed:
            raise CloisterError(f"The sync was none without changes: {report}.")

    def process() -> None:
        env = environment(settings, CLOISTER_EMBEDDER_MODEL=_EMBEDDER)
        printed = run_quietly(command("ingest", "sync", str(folder), "--json"), env)
        if json.loads(printed)["unchanged"] != count:
            raise CloisterError(f"The sync was none without changes: {printed}")

    walk_and_stat(folder)
    compare()
    seconds = alternate(
        rounds, walk=lambda: walk_and_stat(folder), compare=compare, process=process
    )
    catalog.close()
    walk, compared, whole = (median(seconds[name]) for name in ("walk", "compare", "process"))
    return [
        Figure("no-op sync, whole process / walk and stat", whole / walk, "×"),
        Figure("no-op sync, comparison alone / walk and stat", compared / walk, "×"),
        Figure("no-op sync, whole process", 1000 * whole, "ms"),
        Figure("no-op sync, comparison alone", 1000 * compared, "ms"),
        Figure("os.walk and os.stat", 1000 * walk, "ms"),
        Figure("files in the folder", count, "files"),
    ]


if __name__ == "__main__":
    sys.exit(run_benchmark("noop_sync", __doc__ or "", measure))
