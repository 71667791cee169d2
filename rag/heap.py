"""The heap of the C library: how many parts it has, and what was freed in it."""

from __future__ import annotations

import ctypes
import os

from rag.cores import usable_cores

# of glibc's malloc.h
_M_ARENA_MAX = -8


def one_arena_a_core() -> None:
    """Have all threads share as many heaps of the C library (arenas) as there are cores.

    glibc makes up to eight a core on 64 bits (M_ARENA_MAX in mallopt(3)), and what was freed in one
    is of no use to a thread of another: a long ingest, each batch of which has threads of its own,
    keeps more and more. Nothing changes where the environment says how many there may be, or
    where the C library is another one.
    """
    allot = getattr(ctypes.CDLL(None), "mallopt", None)
    said = "MALLOC_ARENA_MAX" in os.environ or "arena_max" in os.environ.get("GLIBC_TUNABLES", "")
    if allot is not None and not said:
        allot(_M_ARENA_MAX, usable_cores())


def give_back() -> None:
    """Return freed memory to the system, where the C library can: glibc keeps much of it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
