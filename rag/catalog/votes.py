"""Which of two answers to one question people found better. A vote goes with either answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from rag.catalog import Catalog, now
from rag.catalog.schema import answers
from rag.catalog.schema import votes as table
from rag.errors import NotFound, UsageError
from rag.records import ModelInfo

Choice = Literal["first", "second", "both", "neither"]
CHOICES: tuple[Choice, ...] = get_args(Choice)

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Vote:
    """That the `first` answer (shown as A) or the `second` is better, or both or neither right.

    `seed` decided which one was A; None where it was not by chance.
    """

    first: str
    second: str
    vote: Choice
    voted_at: str
    seed: int | None = None


def cast_vote(
    catalog: Catalog, first: str, second: str, choice: str, seed: int | None = None
) -> Vote:
    """Note a vote, in place of an earlier one on the same two answers.

    Raises NotFound where one of them is not there, UsageError where they are not by two models to
    one question.
    """
    chosen = next((known for known in CHOICES if known == choice), None)
    if chosen is None:
        raise UsageError("A vote is “first”, “second”, “both” or “neither”.")
    with catalog.write() as connection:
        wanted = answers.c.id.in_((first, second))
        rows = connection.execute(select(answers.c.id, answers.c.record).where(wanted))
        records = {row.id: json.loads(row.record) for row in rows}
        for name in (first, second):
            if name not in records:
                raise NotFound(
                    f"There is no answer {name[:80]}. One goes when a document goes that it holds "
                    "text of. Ask both models again."
                )
        _check_pair(records[first], records[second])
        cast = Vote(first, second, chosen, now(), seed)
        connection.execute(
            delete(table).where(table.c.first_id == second, table.c.second_id == first)
        )
        values = {"vote": chosen, "voted_at": cast.voted_at, "seed": seed}
        connection.execute(
            insert(table)
            .values(first_id=first, second_id=second, **values)
            .on_conflict_do_update(index_elements=["first_id", "second_id"], set_=values)
        )
    return cast


def vote_on(catalog: Catalog, first: str, second: str) -> Vote | None:
    """The vote on two answers in that order, if there is one."""
    statement = select(table).where(table.c.first_id == first, table.c.second_id == second)
    with catalog.read() as connection:
        row = connection.execute(statement).mappings().first()
    return _vote(row) if row else None


def votes(catalog: Catalog) -> Iterator[tuple[Vote, Record, Record]]:
    """All votes, the newest first, each with the records of its first and its second answer."""
    one, two = answers.alias(), answers.alias()
    statement = (
        select(table, one.c.record.label("one"), two.c.record.label("two"))
        .join(one, one.c.id == table.c.first_id)
        .join(two, two.c.id == table.c.second_id)
        .order_by(table.c.voted_at.desc(), table.c.first_id)
    )
    with catalog.read() as connection:
        for row in connection.execute(statement).mappings():
            yield _vote(row), json.loads(row["one"]), json.loads(row["two"])


def model_of(record: Record) -> str:
    """Which model wrote an answer, in which revision, with which adapter; `none` for quotes."""
    known = {name: record["model"].get(name) for name in ("id", "revision", "device", "adapter")}
    model = ModelInfo(**known)
    revision = f"@{model.revision[:12]}" if model.revision else ""
    return f"{model.id}{revision}" + (f" + {model.adapter}" if model.adapter else "")


def _check_pair(first: Record, second: Record) -> None:
    if first["standalone_question"] != second["standalone_question"]:
        raise UsageError("These answers are to two questions. Vote on two to the same one.")
    if model_of(first) == model_of(second):
        raise UsageError(f"Both answers are by {model_of(first)}. Vote on those of two models.")


def _vote(row: Mapping[Any, Any]) -> Vote:
    return Vote(row["first_id"], row["second_id"], row["vote"], row["voted_at"], row["seed"])
