"""A conversation on the ask page without JavaScript: its answers, carried along by their ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from rag.catalog import Catalog
from rag.catalog.answers import read_answer
from rag.errors import NotFound
from rag.records import Turn

FIELD = "answer"
# as many as a program may send
_MOST = 20
# of an address that browsers and servers take
_LONGEST = 3_000
# what belongs to one question and not to the next
_PASSING = ("question", FIELD)

Answers = Sequence[Mapping[str, Any]]


def answers_of(catalog: Catalog, ids: Sequence[str]) -> list[Mapping[str, Any]]:
    """The recorded answers of these, the last ones where they are many.

    One that went with its document is left out. Raises NotFound where the last one is gone.
    """
    found = []
    for answer_id in ids[-_MOST:]:
        try:
            found.append(read_answer(catalog, answer_id))
        except NotFound:
            if answer_id == ids[-1]:
                raise
    return found


def history_of(answers: Answers) -> tuple[Turn, ...]:
    """What was said before, as a question takes it."""
    return tuple(Turn(answer["question"], answer["text"]) for answer in answers)


def address_of(catalog: Catalog, answers: Answers, form: Mapping[str, str]) -> str:
    """The page of this conversation, with the form's choices for the next question.

    Empty where there is none: the last answer was not kept, or the choices are too long.
    """
    try:
        kept = answers_of(catalog, [answer["id"] for answer in answers])
    except NotFound:
        return ""
    chosen = [(name, text) for name, text in form.items() if text and name not in _PASSING]
    address = "/?" + urlencode([*chosen, *_named(kept)])
    return address if len(address) <= _LONGEST else ""


def _named(answers: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [(FIELD, answer["id"]) for answer in answers]
