"""Opens the two indexes of the catalog; mends or rebuilds what a kill left wrong.

While a process has them open the catalog says so. Found so at the next start, every chunk is
looked up by its own vector; after an orderly end, a sample is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rag.catalog import Catalog
from rag.catalog.contents import IndexRow, count_chunks, index_rows, vectors_of
from rag.serials import Serials
from rag.settings import Settings
from rag.vectors import VectorIndex
from rag.words import WordIndex

_IN_USE = "indexes.in_use"
_APART = "chroma.apart"
# more lost chunks than this, and the index is rebuilt rather than mended
_FEW = 200
_SAMPLE = 64
_CHECK_SECONDS = 600

Say = Callable[[str], None]


class Indexes:
    """Both indexes, open. Only the process that holds the library's lock may make one."""

    def __init__(self, settings: Settings, catalog: Catalog, fingerprint: str, say: Say) -> None:
        self._catalog = catalog
        self._home = settings.home
        self._fingerprint = fingerprint
        self._say = say
        whole = catalog.fact(_IN_USE) is None
        catalog.note(_IN_USE, "yes")
        self.vectors = self._open_vectors(whole)
        self.words = self._open_words(whole)

    def add(self, rows: Sequence[IndexRow]) -> None:
        """Put chunks into both indexes and read each back by its own vector."""
        ids, vectors = [row.id for row in rows], _stack(rows)
        self.words.add((row.id, f"{row.context}\n{row.text}") for row in rows)
        self.words.commit()
        self.vectors.add(ids, vectors)
        lost = set(self.vectors.missing(ids, vectors))
        if lost:
            self._keep_apart(self.vectors, [row for row in rows if row.id in lost])

    def delete(self, ids: Sequence[str]) -> None:
        """Take chunks out of both indexes."""
        self.words.delete(ids)
        self.words.commit()
        self.vectors.delete(ids)

    def close(self) -> None:
        """Close both in order, and say so in the catalog."""
        self.words.close()
        self.vectors.close()
        self._catalog.note(_IN_USE, None)

    def _open_vectors(self, whole: bool) -> VectorIndex:
        serials = Serials(self._catalog, self._home, "chroma")
        path = serials.current()
        report = self._check_vectors(path, _SAMPLE if whole else None) if path else None
        if path is None or report is None or len(report["missing"]) > _FEW:
            if path is not None:
                self._say("The vector index is damaged: rebuilding it from the catalog.")
            path = self._rebuild_vectors(serials)
            report = {"missing": [], "extra": []}
            if count_chunks(self._catalog):
                report = self._check_vectors(path, None) or report
        index = VectorIndex(path, self._fingerprint)
        index.delete(report["extra"])
        known = json.loads(self._catalog.fact(_APART) or "[]")
        self._mend(index, vectors_of(self._catalog, {*report["missing"], *known}))
        serials.sweep()
        return index

    def _mend(self, index: VectorIndex, rows: Sequence[IndexRow]) -> None:
        """Put chunks back that the index does not find; search exactly for what it never finds."""
        if not rows:
            return
        ids, vectors = [row.id for row in rows], _stack(rows)
        index.add(ids, vectors)
        lost = set(index.missing(ids, vectors))
        self._keep_apart(index, [row for row in rows if row.id in lost])

    def _keep_apart(self, index: VectorIndex, rows: Sequence[IndexRow]) -> None:
        if rows:
            index.keep_apart([row.id for row in rows], _stack(rows))
        self._catalog.note(_APART, json.dumps(index.apart))

    def _rebuild_vectors(self, serials: Serials) -> Path:
        path = serials.fresh()
        index = VectorIndex(path, self._fingerprint)
        try:
            for rows in index_rows(self._catalog, embedded_by=self._fingerprint):
                index.add([row.id for row in rows], _stack(rows))
        finally:
            index.close()
        serials.switch(path)
        return path

    def _check_vectors(self, path: Path, sample: int | None) -> dict[str, Any] | None:
        """What a child process finds wrong with the index; None when it cannot be opened."""
        if count_chunks(self._catalog) == 0 and sample is not None:
            return {"missing": [], "extra": []}  # an empty library, closed in order
        job = {
            "home": str(self._home),
            "path": str(path),
            "fingerprint": self._fingerprint,
            "sample": sample,
        }
        try:
            child = subprocess.run(
                [sys.executable, "-m", "rag.vector_check"],
                input=json.dumps(job),
                capture_output=True,
                text=True,
                timeout=_CHECK_SECONDS,
                check=True,
            )
            found: dict[str, Any] = json.loads(child.stdout)
        except (subprocess.SubprocessError, ValueError):
            return None
        return found

    def _open_words(self, whole: bool) -> WordIndex:
        serials = Serials(self._catalog, self._home, "words")
        path = serials.current()
        if path is not None:
            try:
                index = WordIndex(path)
                if len(index) == count_chunks(self._catalog) and (whole or self._same(index)):
                    return index
                index.close()
            except (OSError, ValueError) as error:
                self._say(f"The lexical index cannot be opened ({error}).")
            self._say("The lexical index is not whole: rebuilding it from the catalog.")
        path = serials.fresh()
        index = WordIndex(path)
        for rows in index_rows(self._catalog):
            index.add((row.id, f"{row.context}\n{row.text}") for row in rows)
        index.commit()
        serials.switch(path)
        serials.sweep()
        return index

    def _same(self, index: WordIndex) -> bool:
        there = set(index.ids())
        return all(row.id in there for rows in index_rows(self._catalog) for row in rows)


def _stack(rows: Sequence[IndexRow]) -> Any:
    import numpy as np

    return np.stack([row.vector for row in rows])
