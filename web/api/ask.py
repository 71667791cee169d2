"""Questions, searches and the answers recorded."""

from __future__ import annotations

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag

from rag.catalog.answers import read_answer
from rag.catalog.collections import asked_parameters
from rag.errors import Busy
from rag.parameters import check_parameters
from rag.questions import checked
from rag.records import Filters, Question, Turn, to_json
from rag.replaying import replay as make_again
from web.answering import Answering
from web.api.described import problems
from web.api.schemas import (
    AnswerOutput,
    AnswerPath,
    AskInput,
    PassagesOutput,
    ReplayOutput,
    SearchInput,
)
from web.asker import asker
from web.event_stream import MEDIA_TYPE, stream
from web.problems import problem_response
from web.served import served

api = APIBlueprint(
    "ask",
    __name__,
    url_prefix="/api/v1",
    abp_tags=[Tag(name="Answers")],
    abp_responses=problems(400, 403, 404, 413, 415, 503),
)


_STREAM = {"schema": {"type": "string"}}
_ANSWER = {"schema": {"$ref": "#/components/schemas/AnswerOutput"}}


@api.post(
    "/ask",
    responses={200: {"content": {"application/json": _ANSWER, MEDIA_TYPE: _STREAM}}},
)
def ask(body: AskInput) -> Response:
    """Answer a question from the documents.

    With `"stream": true` the reply is `text/event-stream`: first `sources`, then `evidence` (the
    best quote, while the model reads), `loading` (where a model that was chosen has to be loaded
    first), `token` (draft) and `sentence` (verified), last `done` with the whole answer, or
    `error`. A question about the library itself (“which documents do you have
    on travel?”) is answered from the catalog: `answered_from` says so, and neither `evidence` nor
    `token` comes.
    """
    settings, catalog = served().library.settings, served().library.catalog
    parameters = body.parameters.model_dump(exclude_none=True)
    check_parameters(parameters, settings, asked_parameters(catalog, body.collections))
    question = Question(
        text=checked(body.question, settings),
        collections=tuple(body.collections) if body.collections else None,
        history=tuple(Turn(turn.question, turn.answer) for turn in body.history),
        parameters=parameters,
        filters=Filters(**body.filters.model_dump()),
        asker=asker(),
        model=body.model,
    )
    answering = Answering(served(), question)
    if body.stream:
        return stream(answering)
    last = answering.last()
    if last.name == "error":
        return problem_response(dict(last.data))
    return jsonify(last.data)


@api.post("/search", responses={200: PassagesOutput})
def search(body: SearchInput) -> Response:
    """The passages that fit a query best, without an answer."""
    library = served().library
    query = checked(body.query, library.settings, "query")
    passages = library.search(
        query, body.collections, body.limit, Filters(**body.filters.model_dump())
    )
    return jsonify({"passages": to_json(passages)})


@api.get("/answers/<answer_id>", responses={200: AnswerOutput})
def answer(path: AnswerPath) -> Response:
    """An answer as it was recorded; it goes when a document that it quotes goes."""
    return jsonify(read_answer(served().library.catalog, path.answer_id))


@api.post("/answers/<answer_id>/replay", responses={200: ReplayOutput})
def replay(path: AnswerPath) -> Response:
    """Make a recorded answer again, greedily, and tell whether the text is the same.

    Where it is not, it is told what differs. The same model, revision, adapter, parameters and
    passages are taken where they are here.
    """
    here = served()
    if not here.answers.acquire(blocking=False):
        raise Busy("Too many answers are under way. Ask again in a moment.")
    try:
        return jsonify(to_json(make_again(here.library, path.answer_id, here.stopping)))
    finally:
        here.answers.release()
