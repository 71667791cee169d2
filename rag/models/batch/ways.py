"""Quicker ways to compute the same, in force only while a step is recorded.

The model itself stays as it is: what `generate` runs, an adapter is put on or a file is made of is
transformers' own. Each way was found right on the model that is there before it is offered. No
other thread may run the model while a step of it is recorded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch

# the root of the mean square of an error, beside that of what is right: weights are rounded to half
# precision, which is 0.002 in bfloat16, and sums are split up otherwise
_HALF, _EXACT = 0.01, 1e-4
# two threads that undid theirs in another order would leave one's for good, and what copies or
# compares must see the model as it is
_LOCK = threading.RLock()


@dataclass(frozen=True, slots=True)
class Way:
    """A name for the log, and what puts it in force."""

    name: str
    force: Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Change:
    """An attribute of a module, of torch's or of Python's, and what it is for a while."""

    owner: Any
    name: str
    value: Any


@contextmanager
def changed(changes: Sequence[Change]) -> Iterator[None]:
    """All changes are in force; what only a class had is the class's again."""
    with _LOCK, ExitStack() as undo:
        for change in changes:
            own = vars(change.owner)
            if change.name in own:
                undo.callback(setattr, change.owner, change.name, own[change.name])
            else:
                undo.callback(delattr, change.owner, change.name)
            setattr(change.owner, change.name, change.value)
        yield


@contextmanager
def in_force(ways: Sequence[Way]) -> Iterator[None]:
    """All ways are in force, and none of another thread's."""
    with _LOCK, ExitStack() as stack:
        for way in ways:
            stack.enter_context(way.force())
        yield


def is_close(found: torch.Tensor, right: torch.Tensor) -> bool:
    """Whether two results differ by rounding only: two units in the last place of the largest."""
    if not is_alike(found, right):
        return False
    rounding = max(2 * torch.finfo(right.dtype).eps, 1e-5)
    error = (found.float() - right.float()).abs().max()
    return bool(error <= rounding * right.float().abs().max())


def is_near(found: torch.Tensor, right: torch.Tensor) -> bool:
    """Whether two results differ as little, on the whole, as their precision makes them."""
    if not is_alike(found, right):
        return False
    most = _EXACT if right.dtype == torch.float32 else _HALF
    return mean_size(found.float() - right.float()) <= most * mean_size(right)


def is_alike(found: torch.Tensor, right: torch.Tensor) -> bool:
    """Whether two results have one shape and one precision."""
    return found.shape == right.shape and found.dtype == right.dtype


def mean_size(numbers: torch.Tensor) -> float:
    """The root of the mean of their squares."""
    return float(numbers.float().square().mean().sqrt())
