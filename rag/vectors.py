"""The dense index: Chroma, holding ids and vectors and no text.

It is an index of the catalog: whatever is wrong with it is mended, or it is rebuilt, from the
vectors that the catalog keeps. Only the process that holds the library's lock may open it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.cores import usable_cores
from rag.errors import StorageError, store_error
from rag.graph_files import blank_unused, graphs
from rag.hold import Hold

Vectors = NDArray[np.float32]

# Chroma writes its graph to disk every so many vectors; a kill in that moment can spoil it, and
# until then an open replays them at about 2,500 a second.
_SYNC_THRESHOLD = 10_000
_BATCH = 1000
# two float16 roundings of one vector of length 1 differ by less than this in cosine distance
_SAME = 1e-3


class VectorIndex:
    """The vectors of one embedder, found by cosine similarity.

    What reads or writes it raises StorageError where Chroma cannot, on a full disk for one. One
    thread at a time may write.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        """Open or make the index in folder `path` for the embedder with this fingerprint."""
        self._path, self._fingerprint = path, fingerprint
        # None where it could not be opened again
        self._hold: Hold[_Chroma | None] = Hold(_open(path, fingerprint))
        self._failed = False
        # what Chroma's graph does not reach, although its table holds it: searched exactly. A
        # graph over many vectors at the same distance from each other can fall apart.
        self._apart: dict[str, Vectors] = {}

    def __len__(self) -> int:
        with self._use() as chroma:
            return chroma.count()

    def add(self, ids: Sequence[str], vectors: Vectors) -> None:
        """Add vectors of shape (n, dimensions); an id that is there is replaced."""
        with self._write() as chroma:
            for part in _parts(len(ids)):
                chroma.collection.upsert(ids=list(ids[part]), embeddings=vectors[part])
                chroma.blank()

    def delete(self, ids: Sequence[str]) -> None:
        """Take vectors out; an id that is not there is no error."""
        with self._write() as chroma:
            for part in _parts(len(ids)):
                chroma.collection.delete(ids=list(ids[part]))
        gone = set(ids)
        # put in its place and never changed: a query may be going through it
        self._apart = {name: kept for name, kept in self._apart.items() if name not in gone}

    def keep_apart(self, ids: Sequence[str], vectors: Vectors) -> None:
        """Search these vectors exactly from now on, shape (n, dimensions)."""
        self._apart = self._apart | dict(zip(ids, vectors, strict=True))

    @property
    def apart(self) -> list[str]:
        """The ids that are searched exactly."""
        return sorted(self._apart)

    def query(self, vector: Vectors, n: int) -> list[tuple[str, float]]:
        """The `n` nearest ids with their cosine similarity, best first."""
        with self._use() as chroma:
            found = chroma.collection.query(
                query_embeddings=vector[None, :], n_results=n, include=["distances"]
            )
        distances = (found["distances"] or [[]])[0]
        near = {name: 1.0 - d for name, d in zip(found["ids"][0], distances, strict=True)}
        near |= {name: float(other @ vector) for name, other in self._apart.items()}
        return sorted(near.items(), key=lambda pair: -pair[1])[:n]

    def missing(self, ids: Sequence[str], vectors: Vectors) -> list[str]:
        """Which of these ids are not found by their own vectors, shape (n, dimensions).

        A count or a `get` proves nothing: a vector can be in Chroma's table and not in its graph.
        """
        size = len(self)
        rest = [row for row, name in enumerate(ids) if not self._same_apart(name, vectors[row])]
        ids, vectors = [ids[row] for row in rest], vectors[rest]
        if size == 0 or not rest:
            return list(ids)

        def lost(part: slice) -> list[str]:
            return list(self._missing(ids[part], vectors[part], min(10, size)))

        # Chroma looks several up at once, a core each
        with ThreadPoolExecutor(max_workers=usable_cores()) as threads:
            return [name for found in threads.map(lost, _parts(len(ids), 128)) for name in found]

    def _same_apart(self, name: str, vector: Vectors) -> bool:
        kept = self._apart.get(name)
        return kept is not None and float(kept @ vector) > 1.0 - _SAME

    def _missing(self, ids: Sequence[str], vectors: Vectors, n: int) -> Iterator[str]:
        with self._use() as chroma:
            found = chroma.collection.query(
                query_embeddings=vectors, n_results=n, include=["distances"]
            )
        crowded: list[int] = []
        for row, name in enumerate(ids):
            near = found["ids"][row]
            distance = (found["distances"] or [])[row]
            if name in near:
                if distance[near.index(name)] > _SAME:
                    yield name
            elif not distance or distance[-1] > _SAME:  # a broken graph may reach nothing
                yield name
            else:
                crowded.append(row)
        # as many others have the very same vector: any of them stands for it in a search, and a
        # graph need not reach each of them, so the table has to do
        held = self.vectors_of([ids[row] for row in crowded])
        for row in crowded:
            vector = held.get(ids[row])
            if vector is None or float(vector @ vectors[row]) < 1.0 - _SAME:
                yield ids[row]

    def vectors_of(self, ids: Sequence[str]) -> dict[str, Vectors]:
        """The vectors that the table holds for these ids."""
        if not ids:
            return {}
        with self._use() as chroma:
            found = chroma.collection.get(ids=list(ids), include=["embeddings"])
        embeddings = found["embeddings"] if found["embeddings"] is not None else []
        rows = (np.asarray(row, dtype=np.float32) for row in embeddings)
        return dict(zip(found["ids"], rows, strict=True))

    def ids(self) -> Iterator[list[str]]:
        """All ids, in batches."""
        offset = 0
        while True:
            with self._use() as chroma:
                batch = chroma.collection.get(limit=_BATCH, offset=offset, include=[])["ids"]
            if not batch:
                return
            yield batch
            offset += len(batch)

    def become(self, other: VectorIndex) -> None:
        """Take over the files of `other`; returns when nobody uses the own ones any more."""
        with other._hold.use() as chroma:
            before = self._hold.replace(chroma)
        self._apart, self._failed = other._apart, other._failed
        self._path, self._fingerprint = other._path, other._fingerprint
        _close(before and before.client)

    def close(self) -> None:
        """Let go of the files."""
        with self._hold.use() as chroma:
            _close(chroma and chroma.client)

    @contextmanager
    def _use(self) -> Iterator[_Chroma]:
        with _explained(), self._hold.use() as chroma:
            if chroma is None:
                raise StorageError("The vector index is closed until it can be written again.")
            yield chroma

    @contextmanager
    def _write(self) -> Iterator[_Chroma]:
        """Chroma, opened anew after it failed to write: it may never return from the next one."""
        if self._failed:
            self._hold.renew(None, self._reopen)
            self._failed = False
        try:
            with self._use() as chroma:
                try:
                    yield chroma
                finally:
                    chroma.forget_count()
        except StorageError:
            self._failed = True
            raise

    def _reopen(self, before: _Chroma | None) -> _Chroma:
        _close(before and before.client)
        return _open(self._path, self._fingerprint)


@dataclass(slots=True)
class _Chroma:
    path: Path
    client: Any
    collection: Any
    _blanked: set[Path] = field(default_factory=set)
    # how many vectors there are, once that was asked. A write puts an empty list in its place,
    # so that who counted before it notes the number where nobody looks any more
    _counted: list[int] = field(default_factory=list)

    def count(self) -> int:
        """How many vectors there are, as of the last write: Chroma counts its rows one by one."""
        counted = self._counted
        if not counted:
            counted.append(int(self.collection.count()))
        return counted[0]

    def forget_count(self) -> None:
        """Count again: something was written."""
        self._counted = []

    def blank(self) -> None:
        """Clear the files of each graph once, when Chroma has begun or loaded it."""
        for graph in graphs(self.path) - self._blanked:
            blank_unused(graph)
            self._blanked.add(graph)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn Chroma's errors into StorageError."""
    from chromadb.errors import ChromaError

    try:
        yield
    except (ChromaError, OSError) as error:
        raise store_error("The vector index", error) from error


def _open(path: Path, fingerprint: str) -> _Chroma:
    with _explained():
        client = _client(path)
        try:
            collection = client.get_or_create_collection(
                f"embedder-{fingerprint}",
                embedding_function=None,
                configuration={
                    "hnsw": {"space": "cosine", "sync_threshold": _SYNC_THRESHOLD, "ef_search": 100}
                },
            )
            chroma = _Chroma(path, client, collection)
            collection.count()  # has Chroma load its graph, or begin it anew
            chroma.blank()
        except BaseException:
            _close(client)  # else the next one to open this folder is given the same
            raise
    return chroma


def _client(path: Path) -> Any:
    import chromadb
    from chromadb.api.shared_system_client import SharedSystemClient
    from chromadb.config import Settings as ChromaSettings

    try:
        return chromadb.PersistentClient(
            path=str(path), settings=ChromaSettings(anonymized_telemetry=False)
        )
    except BaseException:
        # Chroma would give what it could not start to the next one that opens this folder
        SharedSystemClient._identifier_to_system.pop(str(path), None)
        raise


def _close(client: Any) -> None:
    close = getattr(client, "close", None)
    if close:
        close()


def _parts(count: int, size: int = _BATCH) -> Iterator[slice]:
    return (slice(i, i + size) for i in range(0, count, size))
