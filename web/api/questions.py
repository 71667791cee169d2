"""Questions drafted from the documents."""

from __future__ import annotations

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag
from pydantic import Field, RootModel

from rag.catalog.passages import live_passages
from rag.errors import Busy, NotFound
from rag.questioning.proposing import Proposal, propose
from rag.questioning.targets import targets_of
from rag.records import to_json
from web.api.described import problems
from web.api.inputs import Identifier, Input, Whole
from web.served import served

api = APIBlueprint(
    "questions",
    __name__,
    url_prefix="/api/v1",
    abp_tags=[Tag(name="Questions")],
    abp_responses=problems(400, 403, 404, 415, 503),
)


class DraftInput(Input):
    """A sentence of a passage, by its chunk and where in it the sentence starts."""

    chunk_id: Identifier
    start: Whole = Field(ge=0, le=100_000_000)


class ProposalOutput(RootModel[Proposal]):
    """A question, and what is wrong with it as far as rules and the judge can tell."""


@api.post("/questions/draft", responses={200: ProposalOutput})
def draft(body: DraftInput) -> Response:
    """Have the LLM in use draft a question that a sentence answers, for a person to approve.

    Sentences without a number, date or name to ask for, and those that lean on others, cannot be
    asked about.
    """
    here = served()
    passage = live_passages(here.library.catalog, [body.chunk_id]).get(body.chunk_id)
    targets = targets_of(passage) if passage else []
    target = next((target for target in targets if target.start == body.start), None)
    if target is None:
        raise NotFound("There is no such sentence (any more) that could be asked about.")
    if not here.answers.acquire(blocking=False):
        raise Busy("Too many answers are under way. Ask again in a moment.")
    try:
        return jsonify(to_json(propose(here.library, target, here.stopping)))
    finally:
        here.answers.release()
