"""Votes on two answers to one question."""

from __future__ import annotations

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field, RootModel

from rag.catalog.votes import Choice, Vote, cast_vote, votes
from rag.evaluation.votes import Pair, tally
from rag.records import to_json
from web.api.described import problems
from web.api.inputs import Identifier, Input, Whole
from web.served import served

api = APIBlueprint(
    "votes",
    __name__,
    url_prefix="/api/v1",
    abp_tags=[Tag(name="Answers")],
    abp_responses=problems(400, 403),
)


class VoteInput(Input):
    """Two answers to one question, by two models, and which is better, or both or neither right.

    `seed` is what decided which one was shown first, where that was by chance.
    """

    first: Identifier
    second: Identifier
    vote: Choice
    seed: Whole | None = Field(None, ge=0, le=2**31 - 1)


class VoteOutput(RootModel[Vote]):
    """A vote."""


class VotesOutput(BaseModel):
    """The votes, the newest first, and what they come to for each pair of models."""

    votes: list[Vote]
    pairs: list[Pair]


@api.post("/votes", responses={200: VoteOutput, **problems(404, 415)})
def vote(body: VoteInput) -> Response:
    """Vote on two answers, in place of an earlier vote on them. It goes with either answer."""
    catalog = served().library.catalog
    return jsonify(to_json(cast_vote(catalog, body.first, body.second, body.vote, body.seed)))


@api.get("/votes", responses={200: VotesOutput})
def listing() -> Response:
    """The votes, and for each pair of models wins, ties and an exact sign test of the wins."""
    found = list(votes(served().library.catalog))
    cast = [one for one, _, _ in found]
    return jsonify({"votes": to_json(cast), "pairs": to_json(tally(found))})
