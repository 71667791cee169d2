"""The LLM that answers: which one it is, and changing it without a restart."""

from __future__ import annotations

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag

from rag.records import to_json
from web.api.described import problems
from web.api.schemas import ActivateInput, ModelPath, ModelStateOutput
from web.served import served

api = APIBlueprint(
    "model_in_use",
    __name__,
    url_prefix="/api/v1",
    abp_tags=[Tag(name="Models")],
    abp_responses=problems(400, 403),
)


@api.get("/models/active", responses={200: ModelStateOutput})
def active() -> Response:
    """Which LLM answers, how far a change to another one is, and how the last one ended."""
    return jsonify(to_json(served().library.model_change.state))


@api.post(
    "/models/<path:model_id>/activate",
    responses={202: ModelStateOutput, **problems(404, 415, 503)},
)
def activate(path: ModelPath, body: ActivateInput) -> Response:
    """Begin to let another model of the models folder answer; `GET …/models/active` tells how far.

    It is loaded, asked a first question, and takes over for new answers; where it fails, the
    present one stays. Written into `cloister.toml`. `none` lets answers be quotes. 503 while
    another change is under way.
    """
    library = served().library
    library.use_model(path.model_id, body.adapter)
    response = jsonify(to_json(library.model_change.state))
    response.status_code = 202
    return response
