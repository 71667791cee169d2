"""What people say of recorded answers. It goes with its answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from rag.catalog import Catalog, now
from rag.catalog.schema import answers, feedback
from rag.errors import NotFound, UsageError
from rag.records import to_json

Rating = Literal["right", "wrong"]
RATINGS: tuple[Rating, ...] = get_args(Rating)
# characters
MOST_COMMENT, MOST_CORRECT = 2000, 1000


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a person says of an answer. `rated_at` is when it was said, or changed last.

    `comment` and `correct_answer` are in the person's own words, and may be empty.
    """

    answer_id: str
    rating: Rating
    comment: str
    correct_answer: str
    rated_at: str


def rate(
    catalog: Catalog,
    answer_id: str,
    rating: str,
    comment: str | None = None,
    correct_answer: str | None = None,
) -> Feedback:
    """Note that an answer is right or wrong, in place of what was noted before.

    A comment or correct answer that is None stays as it was; but an answer that is right needs no
    other, so with that it is forgotten. Raises NotFound where there is no such answer, UsageError.
    """
    chosen = _checked(rating, comment, correct_answer)
    with catalog.write() as connection:
        known = connection.execute(select(answers.c.id).where(answers.c.id == answer_id))
        if known.scalar() is None:
            raise _no_answer(answer_id)
        mine = feedback.c.answer_id == answer_id
        before = connection.execute(select(feedback).where(mine)).mappings().first()
        if before is not None:
            comment = before["comment"] if comment is None else comment
            correct_answer = before["correct_answer"] if correct_answer is None else correct_answer
        correct_answer = "" if chosen == "right" else (correct_answer or "").strip()
        said = Feedback(answer_id, chosen, (comment or "").strip(), correct_answer, now())
        values = to_json(said)
        connection.execute(
            insert(feedback)
            .values(values)
            .on_conflict_do_update(index_elements=["answer_id"], set_=values)
        )
    return said


def take_back(catalog: Catalog, answer_id: str) -> None:
    """Forget what was said of an answer. Raises NotFound where nothing was."""
    with catalog.write() as connection:
        gone = connection.execute(delete(feedback).where(feedback.c.answer_id == answer_id))
        if not gone.rowcount:
            raise NotFound(f"Nothing was said of an answer {answer_id[:80]}.")


def feedback_on(catalog: Catalog, answer_id: str) -> Feedback | None:
    """What was said of an answer, if anything was."""
    statement = select(feedback).where(feedback.c.answer_id == answer_id)
    with catalog.read() as connection:
        row = connection.execute(statement).mappings().first()
    return Feedback(**row) if row else None


def rated_answers(catalog: Catalog) -> Iterator[tuple[Feedback, Mapping[str, Any]]]:
    """What was said, the newest first, each with its answer's record."""
    statement = (
        select(feedback, answers.c.record)
        .join(answers, answers.c.id == feedback.c.answer_id)
        .order_by(feedback.c.rated_at.desc(), feedback.c.answer_id)
    )
    with catalog.read() as connection:
        for row in connection.execute(statement).mappings():
            said = {name: row[name] for name in Feedback.__slots__}
            yield Feedback(**said), json.loads(row["record"])


def _checked(rating: str, comment: str | None, correct_answer: str | None) -> Rating:
    """The rating. Raises UsageError."""
    chosen = next((known for known in RATINGS if known == rating), None)
    if chosen is None:
        raise UsageError("A rating is either “right” or “wrong”.")
    for text, most, what in (
        (comment, MOST_COMMENT, "comment"),
        (correct_answer, MOST_CORRECT, "correct answer"),
    ):
        if len(text or "") > most:
            raise UsageError(f"The {what} has more than {most:,} characters. Shorten it.")
    if chosen == "right" and (correct_answer or "").strip():
        raise UsageError("A correct answer belongs to one that is wrong. Leave it out.")
    return chosen


def _no_answer(answer_id: str) -> NotFound:
    return NotFound(
        f"There is no answer {answer_id[:80]}. One goes when a document goes that it holds text "
        "of. Ask the question again."
    )
