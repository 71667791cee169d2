"""The common beginnings of recent prompts, such as a chat template with its system text.

What a causal model computes for a token depends on no later one: so the keys and values of a
beginning that several prompts share are computed once, and copied to the next one that has it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag.models.batch.shelf import Head

# shorter ones are read as fast as they are copied
_LEAST = 16
_RECENT = 8
_KEPT = 4


@dataclass(slots=True)
class _Kept:
    ids: list[int]
    head: Head


class Heads:
    """At most four beginnings, of at most `most` tokens together; the one used longest ago goes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: list[_Kept] = []
        self._recent: deque[list[int]] = deque(maxlen=_RECENT)

    @property
    def tokens(self) -> int:
        """How many tokens' keys and values are kept."""
        return sum(len(kept.ids) for kept in self._kept)

    def find(self, ids: Sequence[int]) -> tuple[Head, int] | None:
        """The head that covers most of a prompt, and how many tokens of it; never its last one."""
        best, length = None, 0
        for kept in self._kept:
            shared = min(common(kept.ids, ids), len(ids) - 1)
            if shared > length:
                best, length = kept, shared
        if best is None or length < _LEAST:
            return None
        self._kept.remove(best)
        self._kept.append(best)
        return best.head, length

    def worth(self, ids: Sequence[int]) -> int:
        """How many first tokens of a prompt to keep for others, 0 for none; it counts as seen."""
        shared = max((common(seen, ids) for seen in self._recent), default=0)
        shared = min(shared, len(ids) - 1)
        self._recent.append(list(ids))
        known = max((common(kept.ids, ids) for kept in self._kept), default=0)
        return shared if _LEAST <= shared <= self._most and shared >= known + _LEAST else 0

    def keep(self, ids: Sequence[int], copy: Callable[[], Head]) -> None:
        """Keep the beginning `ids`, which `copy` returns."""
        while self._kept and (len(self._kept) >= _KEPT or self.tokens + len(ids) > self._most):
            self._kept.pop(0)
        self._kept.append(_Kept(list(ids), copy()))

    def clear(self) -> None:
        """Keep nothing more."""
        self._kept.clear()
        self._recent.clear()


def common(left: Sequence[int], right: Sequence[int]) -> int:
    """How many first items two sequences share."""
    most = min(len(left), len(right))
    if left[:most] == right[:most]:
        return most
    return next(number for number in range(most) if left[number] != right[number])
