"""Examples packed for a GPU: those over the same passages as one row, several such rows at once.

A row is the tokens that its examples begin with, and after them what is each one's own. Each of
these sees that beginning and itself, and nothing of the others. So a whole batch is one call of the
network, where `rag.tuning.batching` needs two for every set of passages, which leaves a GPU idle.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rag.tuning.batching import NOT_LEARNED, families, head_of
from rag.tuning.encoding import Encoded

# of a longer row most would be hidden from most
_MOST_TAIL_TOKENS = 1024
# attention with a mask is fastest over a multiple of so many tokens
_MULTIPLE = 8
_HEAD, _PADDING = 0, -1


@dataclass(frozen=True, slots=True)
class Pack:
    """Token `ids`, `positions` and `groups` (all n × w), and `targets` of the last k (n × k).

    A token's group is 0 where its row's examples share it, -1 for padding, else the number of the
    example that it is of. `tokens` is how many targets are learned, the others are -100.
    """

    ids: Any
    positions: Any
    groups: Any
    targets: Any
    tokens: int

    def mask(self, dtype: Any) -> Any:
        """What is added to the attention (n × 1 × w × w): 0 from a token to what it sees."""
        import torch

        groups = self.groups
        seen, sees = groups[:, None, :], groups[:, :, None]
        order = torch.arange(groups.shape[1], device=groups.device)
        allowed = (seen == sees) | (seen == _HEAD)
        allowed &= (seen != _PADDING) & (order[None, None, :] <= order[None, :, None])
        # padding sees itself, since the softmax of nothing is no number
        allowed |= torch.eye(len(order), dtype=torch.bool, device=groups.device)
        hidden = torch.full((), torch.finfo(dtype).min, dtype=dtype, device=groups.device)
        return torch.where(allowed, torch.zeros_like(hidden), hidden)[:, None]


def packs(rows: Sequence[Encoded], most_tokens: int, pad: int, device: str) -> Iterator[Pack]:
    """The rows in packs of at most so many tokens with padding, or of one row."""
    parts = [part for family in families(rows) for part in _parts(family, most_tokens)]
    waiting: list[tuple[list[Encoded], int]] = []
    for part in sorted(parts, key=_width):
        if waiting and _area([*waiting, part]) > most_tokens:
            yield _pack(waiting, pad, device)
            waiting = []
        waiting.append(part)
    if waiting:
        yield _pack(waiting, pad, device)


def _parts(family: Sequence[Encoded], most_tokens: int) -> Iterator[tuple[list[Encoded], int]]:
    """The examples of a family, as many together as find room, with the length of their head."""
    # of a single example all but the prompt's last token, after which the first target stands
    head = head_of(family) if len(family) > 1 else family[0].prompt - 1
    room = min(_MOST_TAIL_TOKENS, most_tokens - head)
    waiting: list[Encoded] = []
    for row in family:
        if waiting and _tails([*waiting, row], head) > room:
            yield waiting, head
            waiting = []
        waiting.append(row)
    if waiting:
        yield waiting, head


def _tails(rows: Sequence[Encoded], head: int) -> int:
    return sum(len(row.ids) - head for row in rows)


def _width(part: tuple[list[Encoded], int]) -> int:
    rows, head = part
    return head + _tails(rows, head)


def _shape(parts: Sequence[tuple[list[Encoded], int]]) -> tuple[int, int]:
    """How many tokens of a pack's rows are for their heads, and how many for what comes after."""
    heads = max(head for _, head in parts)
    tails = max(_tails(rows, head) for rows, head in parts)
    return heads, tails + -(heads + tails) % _MULTIPLE


def _area(parts: Sequence[tuple[list[Encoded], int]]) -> int:
    return len(parts) * sum(_shape(parts))


def _pack(parts: Sequence[tuple[list[Encoded], int]], pad: int, device: str) -> Pack:
    import torch

    heads, tails = _shape(parts)
    shape = (len(parts), heads + tails)
    ids = np.full(shape, pad, dtype=np.int64)
    positions = np.zeros(shape, dtype=np.int64)
    groups = np.full(shape, _PADDING, dtype=np.int64)
    targets = np.full((len(parts), tails), NOT_LEARNED, dtype=np.int64)
    for line, (rows, head) in enumerate(parts):
        ids[line, :head] = rows[0].ids[:head]
        positions[line, :head] = np.arange(head)
        groups[line, :head] = _HEAD
        at = heads
        for number, row in enumerate(rows, 1):
            end = at + len(row.ids) - head
            ids[line, at:end] = row.ids[head:]
            positions[line, at:end] = np.arange(head, len(row.ids))
            groups[line, at:end] = number
            # what stands at a position is predicted at the one before
            first = at - heads + row.prompt - head - 1
            targets[line, first : end - heads - 1] = row.ids[row.prompt :]
            at = end
    return Pack(
        ids=torch.from_numpy(ids).to(device),
        positions=torch.from_numpy(positions).to(device),
        groups=torch.from_numpy(groups).to(device),
        targets=torch.from_numpy(targets).to(device),
        tokens=sum(len(row.ids) - row.prompt for rows, _ in parts for row in rows),
    )
