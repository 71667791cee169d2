"""The files that Chroma keeps its graph in, cleared of what is no vector.

When Chroma begins a graph it writes room for a hundred vectors from memory that it never set
(hnswlib, `initPersistentIndex`): what Cloister had there before, text of documents too. After that
it writes whole vectors only. It begins one with the first vector of a collection, and, until ten
thousand changes are saved, anew at each opening.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from rag.errors import StorageError

# of header.bin: version, offset, room, vectors and bytes for each vector, as hnswlib writes them
_HEADER = struct.Struct("=iQQQQ")
_VERSION = 1
_LENGTH_BYTES = 4


def graphs(index: Path) -> set[Path]:
    """The folders of the graphs that were begun in the index folder `index`."""
    return {header.parent for header in index.glob("*/header.bin")}


def blank_unused(graph: Path) -> None:
    """Overwrite what stands after the saved vectors in the files of a graph, durably.

    Nobody may write it meanwhile. Raises StorageError where they are not as hnswlib writes them,
    OSError where they cannot be written.
    """
    vectors, size = _saved(graph)
    _blank_from(graph / "data_level0.bin", vectors * size)
    _blank_from(graph / "length.bin", vectors * _LENGTH_BYTES)


def _saved(graph: Path) -> tuple[int, int]:
    """How many vectors are saved, and the bytes for each."""
    if not (graph / "index_metadata.pickle").exists():
        return 0, 0  # Chroma reads none of the files before it has written this one
    with (graph / "header.bin").open("rb") as file:
        head = file.read(_HEADER.size)
    if len(head) == _HEADER.size:
        version, _, _, vectors, size = _HEADER.unpack(head)
        if version == _VERSION:
            return vectors, size
    raise StorageError(
        "The vector index cannot be opened: its files are damaged. Restart Cloister: it is built "
        "anew from the catalog."
    )


def _blank_from(path: Path, start: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # the disk was full, perhaps
        return
    try:
        rest = os.fstat(descriptor).st_size - start
        if rest > 0:
            os.pwrite(descriptor, bytes(rest), start)
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
