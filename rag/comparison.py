"""Compares an index with the catalog: each chunk looked up, never counted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rag.catalog import Catalog
from rag.catalog.index_rows import IndexRow, count_chunks, index_ids, index_rows, vectors_of
from rag.vectors import VectorIndex
from rag.words import WordIndex, Words

_CHECK_SECONDS = 600
_CHECKED_A_SECOND = 200

# told how many chunks were looked at just now; may raise to stop
Tell = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Compared:
    """Ids that an index should find and does not, and ids that it holds for no chunk."""

    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.missing and not self.extra


def compare_vectors(
    catalog: Catalog,
    index: VectorIndex,
    fingerprint: str,
    sample: int | None = None,
    tell: Tell | None = None,
) -> Compared:
    """Look chunks up by their own vectors: all, or with `sample` about so many of them."""
    missing: list[str] = []
    wanted: set[str] = set()
    batches: Iterable[list[IndexRow]] = index_rows(catalog, embedded_by=fingerprint)
    if sample is not None:
        ids = index_ids(catalog, fingerprint)
        wanted.update(ids)
        batches = [vectors_of(catalog, ids[:: max(1, len(ids) // sample)])]
    for rows in batches:
        wanted.update(row.id for row in rows)
        if rows:
            vectors = np.stack([row.vector for row in rows])
            missing.extend(index.missing([row.id for row in rows], vectors))
        if tell:
            tell(len(rows))
    held = {name for batch in index.ids() for name in batch}
    missing.extend(sorted(wanted - held - set(missing)))
    return Compared(tuple(missing), tuple(sorted(held - wanted)))


def compare_words(catalog: Catalog, index: WordIndex, tell: Tell | None = None) -> Compared:
    """Look every chunk up by its id and its words."""
    missing: list[str] = []
    wanted: set[str] = set()
    for rows in index_rows(catalog):
        wanted.update(row.id for row in rows)
        missing.extend(index.missing(map(words_of, rows)))
        if tell:
            tell(len(rows))
    held = Counter(index.ids())
    # what is there twice counts twice in every search: it is put in anew
    missing.extend(sorted(name for name in set(held) & wanted - set(missing) if held[name] > 1))
    return Compared(tuple(missing), tuple(sorted(set(held) - wanted)))


def words_of(row: IndexRow) -> Words:
    """What the lexical index holds of a chunk."""
    return Words(row.id, f"{row.context}\n{row.text}", row.language)


def compare_closed_vectors(
    catalog: Catalog, home: Path, path: Path, fingerprint: str, sample: int | None = None
) -> Compared | None:
    """Compare an index that no process has open; None when it cannot be opened.

    Chroma can crash the process that opens a damaged index, so a child does it.
    """
    job = {"home": str(home), "path": str(path), "fingerprint": fingerprint, "sample": sample}
    try:
        child = subprocess.run(
            [sys.executable, "-m", "rag.vector_check"],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            timeout=_CHECK_SECONDS + count_chunks(catalog) / _CHECKED_A_SECOND,
            check=True,
        )
        found = json.loads(child.stdout)
        return Compared(tuple(found["missing"]), tuple(found["extra"]))
    except (subprocess.SubprocessError, ValueError):
        return None
