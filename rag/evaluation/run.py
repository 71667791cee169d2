"""Asks every question of a file: what is found for it, and what is answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag.evaluation.questions import Item
from rag.records import Question
from rag.session import Session


@dataclass(frozen=True, slots=True)
class Result:
    """A question with what was found and answered, as JSON values."""

    item: Item
    passages: tuple[Mapping[str, Any], ...]
    answer: Mapping[str, Any]


def run(
    session: Session, items: Sequence[Item], collections: tuple[str, ...] | None
) -> Iterator[Result]:
    """Search and ask for each question, in order, each when it is asked for.

    `collections` (None: all) are for those that name none of their own.
    """
    from rag.condensing import condense

    for item in items:
        asked_of = item.asked_of(collections)
        standalone = condense(item.question, item.history)
        passages = session.search(standalone, asked_of, 10)
        answer: Mapping[str, Any] = {}
        for name, data in session.ask(Question(item.question, asked_of, item.history)):
            if name == "done":
                answer = data
        yield Result(item, tuple(passages), answer)
