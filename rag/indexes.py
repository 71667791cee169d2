"""Opens the two indexes of the catalog; mends or rebuilds what a kill left wrong.

While a process has them open the catalog says so. Found so at the next start, every chunk is
looked up by its own vector; after an orderly end, a sample is.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rag.catalog import Catalog
from rag.catalog.index_rows import IndexRow, count_chunks, index_rows, vectors_of
from rag.comparison import (
    Compared,
    Tell,
    compare_closed_vectors,
    compare_vectors,
    compare_words,
    words_of,
)
from rag.errors import StorageError
from rag.serials import Serials
from rag.settings import Settings
from rag.vectors import VectorIndex
from rag.words import WordIndex

NAMES = ("chroma", "words")
_IN_USE = "indexes.in_use"
_APART = "chroma.apart"
# more lost chunks than this, and the index is rebuilt rather than mended
_FEW = 200
_SAMPLE = 64

Say = Callable[[str], None]


class Indexes:
    """Both indexes, open. Only the process that holds the library's lock may make one."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        fingerprint: str,
        say: Say,
        mend: bool = True,
    ) -> None:
        """Open both; `mend` False leaves them as they are, where they can be opened at all."""
        self._mend_at_start = mend
        self._catalog = catalog
        self._home = settings.home
        self._fingerprint = fingerprint
        self._say = say
        self._serials = {name: Serials(catalog, settings.home, name) for name in NAMES}
        # whether every chunk was looked up since vectors were added, or the graph was loaded
        self._settled = False
        whole = catalog.fact(_IN_USE) is None
        catalog.note(_IN_USE, "yes")
        self.vectors = self._open_vectors(whole)
        self.words = self._open_words(whole)

    def add(self, rows: Sequence[IndexRow]) -> None:
        """Put chunks into both indexes and read each back by its own vector."""
        self._add_words(rows)
        self._mend_vectors(self.vectors, rows)

    def settle(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Search exactly for what Chroma's graph lost while it took other vectors.

        A graph drops links to earlier vectors as it links new ones, so that one which was found
        when it was added may not be later. Each chunk is looked up, unless nothing was added since
        that was done; `stop` ends it early, and the next call begins again.
        """
        if self._settled:
            return
        for rows in index_rows(self._catalog, embedded_by=self._fingerprint):
            if stop():
                return
            lost = set(self.vectors.missing([row.id for row in rows], _stack(rows)))
            if lost:
                self._keep_apart(self.vectors, [row for row in rows if row.id in lost])
        self._settled = True

    def delete(self, ids: Sequence[str]) -> None:
        """Take chunks out of both indexes."""
        self.words.delete(ids)
        self.words.commit()
        self.vectors.delete(ids)

    def compare(self, tell: Tell | None = None) -> tuple[Compared, Compared]:
        """What is wrong with the vectors and with the words; every chunk is looked up."""
        vectors = compare_vectors(self._catalog, self.vectors, self._fingerprint, tell=tell)
        return vectors, compare_words(self._catalog, self.words, tell)

    def mend(self, vectors: Compared, words: Compared) -> None:
        """Put right what `compare` found, from the catalog; rebuild where that does not help."""
        if len(vectors.missing) > _FEW:
            self._renew_vectors()
        else:
            self.vectors.delete(vectors.extra)
            self._mend_vectors(self.vectors, vectors_of(self._catalog, vectors.missing))
        if len(words.missing) > _FEW:
            self._renew_words()
            return
        self.words.delete(words.extra)
        rows = vectors_of(self._catalog, words.missing)
        self._add_words(rows)
        if self.words.missing(map(words_of, rows)):
            self._renew_words()

    def renew(self, tell: Tell | None = None) -> None:
        """Build both anew from the catalog in fresh folders, switch, delete the old ones.

        Nothing of a deleted chunk is left: neither index's own files forget what was deleted from
        them. Questions go on meanwhile. Raises StorageError where old files cannot be deleted.
        """
        self._renew_vectors(tell)
        self._renew_words(tell)
        for serials in self._serials.values():
            if left := serials.left_over():
                raise StorageError(
                    f"{left[0].parent.name}/{left[0].name} in the data directory cannot be "
                    "deleted: check its owner."
                )

    def sweep(self) -> None:
        """Delete what lies beside the folders in use."""
        for serials in self._serials.values():
            serials.sweep()

    def close(self) -> None:
        """Close both in order, and say so in the catalog."""
        self.words.close()
        self.vectors.close()
        self._catalog.note(_IN_USE, None)

    def _open_vectors(self, whole: bool) -> VectorIndex:
        serials = self._serials["chroma"]
        path = serials.current()
        report = self._check_vectors(path, _SAMPLE if whole else None) if path else None
        if report and not self._mend_at_start:
            report = Compared()
        if path is None or report is None or len(report.missing) > _FEW:
            if path is not None:
                self._say("The vector index is damaged: rebuilding it from the catalog.")
            with self._fresh_vectors() as (path, rebuilt):
                serials.switch(path)
            rebuilt.close()
            report = Compared()
            if count_chunks(self._catalog):
                report = self._check_vectors(path, None) or report
        index = VectorIndex(path, self._fingerprint)
        index.delete(report.extra)
        self._keep_apart(index, vectors_of(self._catalog, apart_chunks(self._catalog)))
        if self._mend_at_start:
            self._mend_vectors(index, vectors_of(self._catalog, report.missing))
        serials.sweep()
        return index

    def _check_vectors(self, path: Path, sample: int | None) -> Compared | None:
        """What a child process finds wrong with the index; None when it cannot be opened."""
        if count_chunks(self._catalog) == 0 and sample is not None:
            return Compared()  # an empty library, closed in order
        return compare_closed_vectors(self._catalog, self._home, path, self._fingerprint, sample)

    def _mend_vectors(self, index: VectorIndex, rows: Sequence[IndexRow]) -> None:
        """Put chunks in that the index may lack; search exactly for what it never finds."""
        if not rows:
            return
        ids, vectors = [row.id for row in rows], _stack(rows)
        self._settled = False
        index.add(ids, vectors)
        lost = set(index.missing(ids, vectors))
        if lost or index.apart:
            self._keep_apart(index, [row for row in rows if row.id in lost])

    def _keep_apart(self, index: VectorIndex, rows: Sequence[IndexRow]) -> None:
        if rows:
            index.keep_apart([row.id for row in rows], _stack(rows))
        apart = json.dumps(index.apart)
        if apart != (self._catalog.fact(_APART) or "[]"):
            self._catalog.note(_APART, apart)

    @contextmanager
    def _fresh_vectors(self, tell: Tell | None = None) -> Iterator[tuple[Path, VectorIndex]]:
        """A new index with every vector of the catalog, and its folder; gone where this raises."""
        path = self._serials["chroma"].fresh()
        index = VectorIndex(path, self._fingerprint)
        with _or_removed(index, path):
            for rows in index_rows(self._catalog, embedded_by=self._fingerprint):
                index.add([row.id for row in rows], _stack(rows))
                if tell:
                    tell(len(rows))
            yield path, index

    def _renew_vectors(self, tell: Tell | None = None) -> None:
        serials = self._serials["chroma"]
        with self._fresh_vectors(tell) as (path, index):
            lost = set(compare_vectors(self._catalog, index, self._fingerprint).missing)
            self._keep_apart(index, vectors_of(self._catalog, lost))
            serials.switch(path)
        self.vectors.become(index)
        self._settled = True
        serials.sweep()

    def _add_words(self, rows: Sequence[IndexRow]) -> None:
        self.words.add(map(words_of, rows))
        self.words.commit()

    def _open_words(self, whole: bool) -> WordIndex:
        serials = self._serials["words"]
        path = serials.current()
        if path is not None:
            try:
                index = WordIndex(path)
                if not self._mend_at_start or (
                    len(index) == count_chunks(self._catalog) and (whole or self._same(index))
                ):
                    serials.sweep()
                    return index
                index.close()
            except (OSError, ValueError, StorageError) as error:
                self._say(f"The lexical index cannot be opened ({error.__cause__ or error}).")
            self._say("The lexical index is not whole: rebuilding it from the catalog.")
        with self._fresh_words() as (path, index):
            serials.switch(path)
        serials.sweep()
        return index

    def _same(self, index: WordIndex) -> bool:
        there = set(index.ids())
        return all(row.id in there for rows in index_rows(self._catalog) for row in rows)

    @contextmanager
    def _fresh_words(self, tell: Tell | None = None) -> Iterator[tuple[Path, WordIndex]]:
        """A new index with the words of every chunk, and its folder; gone where this raises."""
        path = self._serials["words"].fresh()
        index = WordIndex(path)
        with _or_removed(index, path):
            for rows in index_rows(self._catalog):
                index.add(map(words_of, rows))
                if tell:
                    tell(len(rows))
            index.commit()
            yield path, index

    def _renew_words(self, tell: Tell | None = None) -> None:
        serials = self._serials["words"]
        with self._fresh_words(tell) as (path, index):
            serials.switch(path)
        self.words.become(index)
        serials.sweep()


def apart_chunks(catalog: Catalog) -> set[str]:
    """The chunks that are searched exactly, since the graph does not reach them."""
    return set(json.loads(catalog.fact(_APART) or "[]"))


@contextmanager
def _or_removed(index: VectorIndex | WordIndex, path: Path) -> Iterator[None]:
    """Close the index and delete its folder where what is done within raises."""
    try:
        yield
    except BaseException:
        index.close()
        shutil.rmtree(path, ignore_errors=True)
        raise


def _stack(rows: Sequence[IndexRow]) -> Any:
    import numpy as np

    return np.stack([row.vector for row in rows])
