"""Chroma's files hold vectors, and nothing of what the process's memory held before."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rag.errors import StorageError
from rag.graph_files import blank_unused, graphs
from rag.vectors import VectorIndex

ROOT = Path(__file__).resolve().parent.parent.parent
# one heap for all threads, of which nothing goes back to the system: what is freed is used again
HEAP = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
}
CHILD = """
import json, sys
from pathlib import Path
import numpy as np
import rag.vectors

path, blanked = Path(sys.argv[1]), sys.argv[2] == "blanked"
if not blanked:
    rag.vectors.graphs = lambda index: set()
MARK = b"xylophonequartz "
rows = np.random.default_rng(0).standard_normal((40, 384)).astype(np.float32)
rows /= np.linalg.norm(rows, axis=1, keepdims=True)
ids = [str(number) for number in range(40)]

def forget():
    sizes = (400, 4_000, 9_000, 40_000, 90_000, 170_000, 1_000_000)
    held = [bytearray(MARK * (size // len(MARK))) for size in sizes for _ in range(30)]
    del held

def holding():
    files = [file for file in path.rglob("*") if file.is_file()]
    assert len(files) > 3
    return [file.name for file in files if MARK in file.read_bytes()]

found = []
forget()
index = rag.vectors.VectorIndex(path, "abc")
forget()
index.add(ids[:30], rows[:30])
found += holding()
index.close()
found += holding()
for _ in range(2):
    forget()
    index = rag.vectors.VectorIndex(path, "abc")
    found += holding()
    forget()
    index.add(ids[30:], rows[30:])
    index.delete(ids[:5])
    found += holding()
    assert index.missing(ids[5:], rows[5:]) == []
    index.close()
    found += holding()
index = rag.vectors.VectorIndex(path, "abc")
index.delete(ids)
index.close()
forget()
index = rag.vectors.VectorIndex(path, "abc")
found += holding()
print(json.dumps(sorted(set(found))))
"""


def _in_child(path: Path, how: str) -> list[str]:
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), how],
        cwd=ROOT,
        env=os.environ | HEAP,
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    found: list[str] = json.loads(child.stdout)
    return found


def test_no_file_holds_what_memory_held_before(tmp_path: Path) -> None:
    assert _in_child(tmp_path, "blanked") == []


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator than glibc's")
def test_without_it_they_would(tmp_path: Path) -> None:
    assert "data_level0.bin" in _in_child(tmp_path, "left")


def _saved(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], np.ndarray]:  # type: ignore[type-arg]
    """An index that Chroma has saved to its files after 50 changes, closed."""
    monkeypatch.setattr("rag.vectors._SYNC_THRESHOLD", 50)
    rows = np.random.default_rng(0).standard_normal((60, 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    ids = [str(number) for number in range(60)]
    index = VectorIndex(path, "abc")
    index.add(ids, rows)
    index.close()
    return ids, rows


def test_saved_vectors_stay_and_what_follows_them_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, rows = _saved(tmp_path, monkeypatch)
    (graph,) = graphs(tmp_path)
    assert (graph / "index_metadata.pickle").exists(), "it was saved"
    before = (graph / "data_level0.bin").read_bytes()
    assert any(before)
    for name in ("data_level0.bin", "length.bin"):
        with (graph / name).open("ab") as file:
            file.write(b"xylophonequartz")
    index = VectorIndex(tmp_path, "abc")
    assert index.missing(ids, rows) == []
    assert all(b"xylo" not in file.read_bytes() for file in graph.iterdir())
    assert (graph / "data_level0.bin").read_bytes().rstrip(b"\0") == before.rstrip(b"\0")
    index.close()


@pytest.mark.parametrize("header", [b"", b"\1\0\0\0", b"\7" * 100])
def test_files_that_are_not_hnswlib_s_are_told(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "header.bin").write_bytes(header)
    blank_unused(tmp_path)  # nothing was saved yet: nobody reads it
    (tmp_path / "index_metadata.pickle").touch()
    with pytest.raises(StorageError, match="damaged"):
        blank_unused(tmp_path)
