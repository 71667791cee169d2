"""Batches of pairs, in which no question meets a passage that answers it as one that does not."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag.tuning.embedder.pairs import Pair


@dataclass(frozen=True, slots=True)
class Piece:
    """The texts of a step: as many questions as positives, in the same order, and negatives.

    `tokens` is the number of questions, over which the loss is summed.
    """

    questions: tuple[str, ...]
    positives: tuple[str, ...]
    negatives: tuple[str, ...]

    @property
    def tokens(self) -> int:
        """How many terms the loss has."""
        return len(self.questions)


def passes(pairs: Sequence[Pair], batch: int, epochs: int, seed: int) -> Iterator[list[Pair]]:
    """The batches of all epochs in their order, which the seed alone decides.

    A batch has no passage twice, nor one that answers another of its questions, so it may be
    smaller than `batch`. A last batch of one pair, with nothing to tell it from, is left out.
    """
    for epoch in range(epochs):
        rng = random.Random(f"{seed} {epoch}")
        left = deque(rng.sample(pairs, len(pairs)))
        while left:
            chosen: list[Pair] = []
            passed_over: list[Pair] = []
            positives: set[str] = set()
            answering: set[str] = set()
            while left and len(chosen) < batch:
                pair = left.popleft()
                if pair.positive in answering or not positives.isdisjoint(pair.all_positives):
                    passed_over.append(pair)
                    continue
                chosen.append(pair)
                positives.add(pair.positive)
                answering.update(pair.all_positives)
            left.extendleft(reversed(passed_over))
            if len(chosen) > 1 or chosen[0].negatives:
                yield chosen


def piece_of(pairs: Sequence[Pair], negatives: int) -> Piece:
    """The texts of a batch, with up to so many negatives of each pair.

    A passage that answers one of the questions is no negative.
    """
    answering = {text for pair in pairs for text in pair.all_positives}
    others = (text for pair in pairs for text in pair.negatives[:negatives])
    return Piece(
        tuple(pair.question for pair in pairs),
        tuple(pair.positive for pair in pairs),
        tuple(dict.fromkeys(text for text in others if text not in answering)),
    )
