"""How many cores a thread of this process computes on.

torch computes with OpenMP, whose threads wait for one another in a busy loop, but only while the
process has no more of them than cores (libgomp's throttled spin count); else they go to sleep after
each of the many small products of a step, which on two cores makes a token of a small LLM three
times as slow, and slower than on one. Each thread that computes on several cores has helpers of its
own: so the LLM's thread has, and no other.
"""

from __future__ import annotations

import os
import threading

_setting = threading.Lock()
# what torch was told, or chose, before `one_core_each`
_all = 0


def one_core_each() -> None:
    """From now on this thread computes on one core, and so do all that have not computed yet."""
    import torch

    global _all
    with _setting:
        _all = _all or torch.get_num_threads()
        torch.set_num_threads(1)


def all_cores() -> None:
    """Have this thread, which has not computed yet, compute on all cores that torch may use."""
    import torch

    on_cores(_all or torch.get_num_threads())


def on_cores(count: int) -> None:
    """Have this thread, which has not computed yet, compute on so many cores; no other changes."""
    import torch

    with _setting:
        before = torch.get_num_threads()  # the first use in a thread takes the common number over
        if before == count:
            return
        torch.set_num_threads(count)
        # that set the common number too, which another thread can set back
        back = threading.Thread(target=torch.set_num_threads, args=(before,))
        try:
            back.start()
        except RuntimeError:  # Python is ending
            return
        back.join()


def _after_fork() -> None:
    """A thread that held the lock is not in the child."""
    global _setting
    _setting = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)
