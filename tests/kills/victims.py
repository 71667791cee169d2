"""A process that loads the real embedder once, and forks victims: to be killed, and to go on.

Reads a line of JSON each from standard input: [what, home, folder, seconds].
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ingest.check import findings, survey
from ingest.sync import register
from rag import embedding, indexes
from rag.catalog import Catalog
from rag.catalog.documents import list_documents
from rag.catalog.folders import folder_key
from rag.catalog.index_rows import index_rows
from rag.catalog.passages import live_passages
from rag.comparison import Compared
from rag.library import Library
from rag.settings import Settings
from tests.ingest.in_process import compare_here, without_children
from tests.ingest.reading import read_all

_LONGEST = 240
# what a child does, given what says a word to its parent
_Act = Callable[[Callable[[str], None]], None]


def _library(home: Path, loaded: embedding.Embedder) -> Library:
    patch = pytest.MonkeyPatch()
    without_children(patch)
    patch.setattr(indexes, "compare_closed_vectors", _compare_in_child)
    patch.setattr(embedding, "load_embedder", lambda settings: loaded)
    library = Library(_settings(home))
    library.load(llm=False)
    return library


def _settings(home: Path) -> Settings:
    given = {"ingest_parsers": 1, "reader_model": "", "erase_after_seconds": 1e9}
    return Settings(home=home, models=Path(os.environ["MODELS"]), **given)  # type: ignore[arg-type]


def _compare_in_child(
    catalog: Catalog, home: Path, path: Path, fingerprint: str, sample: int | None = None
) -> Compared | None:
    """As `compare_closed_vectors`, in a fork, which has its imports."""

    def compare(say: Callable[[str], None]) -> None:
        here = Catalog(home / "catalog.sqlite")
        found = compare_here(here, home, path, fingerprint, sample)
        say(json.dumps([found.missing, found.extra] if found else None) + "\n")

    told, _ = _forked(compare, None)
    lists = json.loads(told.splitlines()[0]) if told.strip() else None
    return Compared(*map(tuple, lists)) if lists else None


def _sync(library: Library, folder: Path) -> None:
    key = folder_key(library.catalog, str(folder), "default")
    register(library.settings, library.catalog, folder, key, "default", confirmed=True)
    read_all(library)


def _state(library: Library) -> Mapping[str, Any]:
    """Everything that two undisturbed runs have in common; asserts what each should be."""
    catalog, vectors = library.catalog, library.indexes.vectors
    told = findings(catalog, survey(library.settings, catalog, library.indexes))
    assert told.sound, told
    rows = {row.id: row for batch in index_rows(catalog) for row in batch}
    for name, row in rows.items():
        near = vectors.query(row.vector, 10)
        assert any(found == name and score > 0.9999 for found, score in near), name
    assert {name for batch in vectors.ids() for name in batch} == set(rows)
    assert sorted(library.indexes.words.ids()) == sorted(rows)
    passages = live_passages(catalog, rows)
    assert set(passages) == set(rows)
    documents = {
        d.source: [d.state, d.kind, d.bytes, d.title, d.pages, d.chunks, d.searchable, d.error]
        for d in list_documents(catalog, 1000)
    }
    chunks = {
        name: [p.source, p.title, p.page, p.start, p.end, p.text, rows[name].context]
        for name, p in passages.items()
    }
    return {
        "documents": documents,
        "chunks": chunks,
        "vectors": {name: row.vector.tolist() for name, row in rows.items()},
    }


def _forked(
    act: Callable[[Callable[[str], None]], None], seconds: float | None
) -> tuple[str, bool]:
    """What a child said, and whether it was killed: `seconds` after its first word, if given."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            act(lambda word: os.write(writing, word.encode()) and None)
        except BaseException:  # noqa: BLE001 - told to the test
            os.write(writing, traceback.format_exc().encode())
        os._exit(0)
    os.close(writing)
    told, until, killed = b"", time.monotonic() + _LONGEST, False
    while True:
        ready, _, _ = select.select([reading], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            os.kill(child, signal.SIGKILL)
            killed = True
            break
        block = os.read(reading, 1 << 16)
        if not block:
            break
        if not told and seconds is not None:
            until = time.monotonic() + seconds
        told += block
    os.close(reading)
    os.waitpid(child, 0)
    return told.decode(), killed


def main() -> None:
    """Serve standard input."""
    loaded = embedding.load_embedder(_settings(Path("/nowhere")))
    __import__("chromadb")
    for line in sys.stdin:
        what, home, folder, seconds = json.loads(line)

        def ingest(say: Callable[[str], None], home: str = home, folder: str = folder) -> None:
            library = _library(Path(home), loaded)
            say("begun\n")
            began = time.monotonic()
            _sync(library, Path(folder))
            say(f"{time.monotonic() - began}\n")
            library.close()

        def go_on(say: Callable[[str], None], home: str = home, folder: str = folder) -> None:
            library = _library(Path(home), loaded)
            shown = sorted(d.source for d in list_documents(library.catalog, 1000) if d.searchable)
            _sync(library, Path(folder))
            state = {"shown": shown, **_state(library)}
            library.close()
            say(json.dumps(state) + "\n")

        told, killed = _forked({"ingest": ingest, "go on": go_on}[what], seconds)
        print(json.dumps({"told": told, "killed": killed}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
