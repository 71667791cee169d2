"""How many cores a thread of this process computes on.

torch computes with OpenMP, whose threads wait for one another in a busy loop, but only while the
process has no more of them than cores (libgomp's throttled spin count); else they go to sleep after
each of the many small products of a step, which on two cores makes a token of a small LLM three
times as slow, and slower than on one. Each thread that computes on several cores has helpers of its
own: so those have in which an LLM is loaded or writes, and no other.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_setting = threading.Lock()
# on how many cores torch computed before `one_core_each`
_cores = 0
# which threads have taken torch's common number over
_settled = threading.local()


def one_core_each() -> None:
    """From now on this thread computes on one core, and so do all that have not computed yet.

    It holds for all of the process, whoever uses torch in it.
    """
    import torch

    global _cores
    with _setting:
        _cores = _cores or torch.get_num_threads()
        torch.set_num_threads(1)


def settle() -> None:
    """Let this thread compute on as many cores as are common.

    A thread takes the number over when it first computes, and keeps it: not while `on_cores` has
    changed it for a moment.
    """
    import torch

    if not getattr(_settled, "done", False):
        with _setting:
            torch.get_num_threads()
        _settled.done = True


def all_cores() -> None:
    """Have this thread, which has not computed yet, compute on all cores that torch may use."""
    settle()
    if _cores:
        on_cores(_cores)


def with_all_cores(work: Callable[[], T]) -> T:
    """What a work gives, done in a thread of its own that computes on all cores, and then ends."""
    with ThreadPoolExecutor(1, "all cores", all_cores) as pool:
        return pool.submit(work).result()


def on_cores(count: int) -> None:
    """Have this thread, which has not computed yet, compute on so many cores; no other changes."""
    import torch

    with _setting:
        before = torch.get_num_threads()
        if before == count:
            return
        torch.set_num_threads(count)
        # that set the common number too, which another thread can set back
        back = threading.Thread(target=torch.set_num_threads, args=(before,))
        try:
            back.start()
        except RuntimeError:  # no thread can begin any more: better this one as slow as all
            torch.set_num_threads(before)
            return
        back.join()


def _after_fork() -> None:
    """A thread that held the lock is not in the child."""
    global _setting
    _setting = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)
