"""What share of the lessons is of which groups, and the batches in which they are learned."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from rag.reading.gathered import HELD
from rag.reading.lessons import Lesson, padded

# lessons that are drawn at a time, put in order of their lengths and cut into batches
DRAWN = 32_768
# lengths are taken for so much shorter or longer, so that batches differ from pass to pass
_JITTER = (0.93, 1.07)


@dataclass(frozen=True, slots=True)
class Share:
    """How much of what is drawn is of these groups, and of these only what is `answered` or not.

    `*` in a group's name stands for anything.
    """

    of: float
    groups: tuple[str, ...]
    answered: bool | None = None


SHARES = (
    Share(0.28, ("squad",), answered=True),
    Share(0.06, ("squad",), answered=False),
    Share(0.06, ("squad near",)),
    Share(0.03, ("squad cut",)),
    Share(0.27, ("squad2*",)),
    Share(0.03, ("nq", "nq near", "covid")),
    Share(0.24, ("own", "own cut")),
    Share(0.03, ("rows",)),
)


@dataclass(frozen=True, slots=True)
class Pool:
    """Lessons, and how many of them are drawn at a time."""

    lessons: Sequence[Lesson]
    drawn: int


def pools_of(
    groups: Mapping[str, Sequence[Lesson]], shares: Sequence[Share] = SHARES
) -> list[Pool]:
    """A pool for each share of which there are lessons, of what is not held out."""
    pools = []
    for share in shares:
        names = [
            name
            for pattern in share.groups
            for name in groups
            if fnmatchcase(name, pattern) and not name.startswith(HELD)
        ]
        lessons = [lesson for name in names for lesson in groups[name]]
        if share.answered is not None:
            lessons = [lesson for lesson in lessons if lesson.answered == share.answered]
        if lessons:
            pools.append(Pool(lessons, int(DRAWN * share.of)))
    return pools


def stream(pools: Sequence[Pool], tokens: int, seed: int) -> Iterator[list[Lesson]]:
    """Batches without end, of at most so many tokens padded, or of one lesson.

    The seed alone decides them. A pool begins anew, in another order, when it is exhausted.
    """
    rng = random.Random(seed)
    drawn = [_drawn(pool, rng) for pool in pools]
    while pools:
        part = [lesson for one in drawn for lesson in next(one)]
        part.sort(key=lambda lesson: len(lesson) * rng.uniform(*_JITTER))
        batches = list(_cut(part, tokens))
        rng.shuffle(batches)
        yield from batches


def _drawn(pool: Pool, rng: random.Random) -> Iterator[list[Lesson]]:
    """So many of a pool's lessons again and again."""
    order = list(pool.lessons)
    at = len(order)
    while True:
        part: list[Lesson] = []
        while len(part) < pool.drawn:
            if at == len(order):
                rng.shuffle(order)
                at = 0
            taken = order[at : at + pool.drawn - len(part)]
            at += len(taken)
            part += taken
        yield part


def _cut(lessons: Sequence[Lesson], tokens: int) -> Iterator[list[Lesson]]:
    """Batches of lessons that follow one another."""
    batch: list[Lesson] = []
    longest = 0
    for lesson in lessons:
        longest = max(longest, len(lesson))
        if batch and padded(longest) * (len(batch) + 1) > tokens:
            yield batch
            batch, longest = [], len(lesson)
        batch.append(lesson)
    if batch:
        yield batch
