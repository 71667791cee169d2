"""Threads share the heap of the C library, so what was freed can be used again."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rag.cores import usable_cores

ROOT = Path(__file__).parents[2]

# as many threads as there may be arenas, each of which has memory that no other has
ARENAS = """
import ctypes, os, re, sys, threading
from pathlib import Path
from rag.cores import usable_cores
from rag.testing import fake_library

if sys.argv[2] == "loaded":
    fake_library(Path(sys.argv[1]))
c = ctypes.CDLL(None)
c.malloc.restype = c.fopen.restype = ctypes.c_void_p
c.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
c.fclose.argtypes = [ctypes.c_void_p]
together = threading.Barrier(8 * usable_cores())

def take():
    together.wait()
    for _ in range(1000):
        c.malloc(100)
    together.wait()

threads = [threading.Thread(target=take) for _ in range(together.parties)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
path = Path(sys.argv[1]) / "info"
file = c.fopen(os.fsencode(path), b"w")
c.malloc_info(0, file)
c.fclose(file)
print(len(re.findall("<heap nr", path.read_text())))
"""


def _arenas(folder: Path, what: str, **environment: str) -> int:
    told = ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")
    env = {name: value for name, value in os.environ.items() if name not in told}
    done = subprocess.run(
        [sys.executable, "-c", ARENAS, str(folder), what],
        env=env | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="no glibc is here")
def test_a_loaded_library_shares_its_heap_among_as_many_arenas_as_cores(tmp_path: Path) -> None:
    cores = usable_cores()
    assert _arenas(tmp_path, "bare") > cores
    assert _arenas(tmp_path, "loaded") <= cores
    # unless whoever runs it says otherwise
    assert _arenas(tmp_path, "loaded", MALLOC_ARENA_MAX=str(cores + 2)) == cores + 2
    more = f"glibc.malloc.arena_max={cores + 3}"
    assert _arenas(tmp_path, "loaded", GLIBC_TUNABLES=more) == cores + 3
