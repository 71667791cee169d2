"""What the second reader learns from: examples as the tokens that it sees when it is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from rag.reading.asking import Asked, Asking, Cut
from rag.reading.example import Example
from rag.reading.gathered import Groups

# the lengths of batches are multiples of this, so that there are few of them
MULTIPLE = 32
# texts that are cut into tokens at a time
_PART = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """A question asked of a context, and the tokens at which its answer begins and ends.

    Both are the last token where there is no answer, or where it is beyond what is read.
    """

    asked: Asked
    start: int
    end: int

    def __len__(self) -> int:
        return len(self.asked)

    @property
    def answered(self) -> bool:
        """Whether an answer is in what is read."""
        return self.start < len(self.asked) - 1


@dataclass(frozen=True, slots=True)
class Batch:
    """Lessons as tensors: `ids` of shape (lessons, tokens), the others of shape (lessons,).

    The context's tokens are `first` up to before `behind`, and `last` is the last token of all.
    """

    ids: torch.Tensor
    first: torch.Tensor
    behind: torch.Tensor
    last: torch.Tensor
    starts: torch.Tensor
    ends: torch.Tensor

    def to(self, device: str) -> Batch:
        """The same on a device."""
        return Batch(*(getattr(self, name).to(device) for name in self.__slots__))


def lessons_of(asking: Asking, groups: Groups) -> dict[str, list[Lesson]]:
    """The lessons of each group, in its order; each text is cut into tokens once."""
    examples = [example for rows in groups.values() for example in rows]
    texts = [text for e in examples for text in (e.question, e.context)]
    cut = _cut(asking, dict.fromkeys(texts))
    return {name: [_lesson(asking, cut, e) for e in rows] for name, rows in groups.items()}


def _cut(asking: Asking, texts: Iterable[str]) -> dict[str, Cut]:
    rows = list(texts)
    parts = [rows[at : at + _PART] for at in range(0, len(rows), _PART)]
    return {text: one for part in parts for text, one in zip(part, asking.cut(part), strict=True)}


def _lesson(asking: Asking, cut: Mapping[str, Cut], example: Example) -> Lesson:
    asked = asking.joined(cut[example.question], cut[example.context])
    start = end = len(asked) - 1
    if example.start >= 0:
        begin, behind = asked.offsets[:, 0], asked.offsets[:, 1]
        hit = np.flatnonzero((behind > example.start) & (begin < example.end))
        if len(hit):
            start, end = asked.first + int(hit[0]), asked.first + int(hit[-1])
    return Lesson(asked, start, end)


def padded(length: int) -> int:
    """The length of a batch whose longest lesson has so many tokens."""
    return -(-length // MULTIPLE) * MULTIPLE


def batch_of(lessons: Sequence[Lesson]) -> Batch:
    """The lessons padded at their ends with token 0, which no token before it sees."""
    ids = np.zeros((len(lessons), padded(max(map(len, lessons)))), dtype=np.int64)
    for row, lesson in enumerate(lessons):
        ids[row, : len(lesson)] = lesson.asked.ids
    places = np.array([_places(lesson) for lesson in lessons], dtype=np.int64)
    return Batch(torch.from_numpy(ids), *torch.from_numpy(places).unbind(1))


def _places(lesson: Lesson) -> tuple[int, int, int, int, int]:
    first, behind = lesson.asked.first, lesson.asked.first + len(lesson.asked.offsets)
    return first, behind, len(lesson) - 1, lesson.start, lesson.end
