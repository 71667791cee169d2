"""Whether an error says that there was not enough memory, and what gives back some."""

from __future__ import annotations

from contextlib import suppress

import torch

# what torch says of short memory where it has no kind of error for it
_SHORT = ("not enough memory", "can't allocate memory", "out of memory", "ALLOC_FAILED")


def is_shortage(error: BaseException) -> bool:
    """Whether an error of Python's or of torch's is a lack of memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _SHORT)


def empty_cuda_cache() -> None:
    """Give a GPU's unused memory back to it.

    After a recording that failed torch may refuse, as if one still ran.
    """
    with suppress(RuntimeError):
        torch.cuda.empty_cache()
