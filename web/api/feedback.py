"""What people say of answers."""

from __future__ import annotations

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag
from pydantic import Field, RootModel

from rag.catalog.feedback import (
    MOST_COMMENT,
    MOST_CORRECT,
    Feedback,
    Rating,
    feedback_on,
    rate,
    take_back,
)
from rag.errors import NotFound
from rag.records import to_json
from web.api.described import problems
from web.api.inputs import Input, Text
from web.api.schemas import AnswerPath
from web.served import served

api = APIBlueprint(
    "feedback",
    __name__,
    url_prefix="/api/v1",
    abp_tags=[Tag(name="Answers")],
    abp_responses=problems(400, 403, 404),
)


class FeedbackInput(Input):
    """Whether an answer is right. What is left out stays as it was said before."""

    rating: Rating
    comment: Text | None = Field(None, max_length=MOST_COMMENT)
    correct_answer: Text | None = Field(None, max_length=MOST_CORRECT)


class FeedbackOutput(RootModel[Feedback]):
    """What was said of an answer."""


@api.post("/answers/<answer_id>/feedback", responses={200: FeedbackOutput, **problems(415)})
def say(path: AnswerPath, body: FeedbackInput) -> Response:
    """Say that an answer is right or wrong, in place of what was said of it before.

    A correct answer belongs to one that is wrong. What is said goes with its answer.
    """
    said = rate(
        served().library.catalog, path.answer_id, body.rating, body.comment, body.correct_answer
    )
    return jsonify(to_json(said))


@api.get("/answers/<answer_id>/feedback", responses={200: FeedbackOutput})
def read(path: AnswerPath) -> Response:
    """What was said of an answer."""
    said = feedback_on(served().library.catalog, path.answer_id)
    if said is None:
        raise NotFound(f"Nothing was said of an answer {path.answer_id}.")
    return jsonify(to_json(said))


@api.delete("/answers/<answer_id>/feedback", responses={204: None})
def forget(path: AnswerPath) -> tuple[str, int]:
    """Take back what was said of an answer."""
    take_back(served().library.catalog, path.answer_id)
    return "", 204
