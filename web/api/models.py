"""The open models: those that are here, and the catalogue."""

from __future__ import annotations

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag

from rag.models.listing import Choice, choose
from rag.records import to_json
from web.api.described import problems
from web.api.schemas import ModelsOutput, ModelsQuery
from web.served import served

api = APIBlueprint(
    "models",
    __name__,
    url_prefix="/api/v1",
    abp_tags=[Tag(name="Models")],
    abp_responses=problems(400, 403),
)


@api.get("/models", responses={200: ModelsOutput})
def listing(query: ModelsQuery) -> Response:
    """The models in the models folder and the catalogue of open models, or those asked for.

    `fits` names the precisions at which a model's weights fit this machine, `in_use` says whether
    answers or searches are made with it. A model whose record is damaged is left out.
    """
    choice = Choice(**query.model_dump())
    return jsonify(to_json(choose(served().library.settings, choice, lambda _: None)))
