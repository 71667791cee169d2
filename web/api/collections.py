"""The collections, and how answers from each are generated."""

from __future__ import annotations

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag

from rag.catalog.collections import change_model, change_parameters, list_collections
from rag.errors import UsageError
from rag.parameters import check_limits
from rag.records import to_json
from web.api.described import problems
from web.api.schemas import (
    CollectionChange,
    CollectionOutput,
    CollectionPath,
    CollectionsOutput,
)
from web.served import served

api = APIBlueprint(
    "collections",
    __name__,
    url_prefix="/api/v1",
    abp_tags=[Tag(name="Collections")],
    abp_responses=problems(400, 403),
)


@api.get("/collections", responses={200: CollectionsOutput})
def listing() -> Response:
    """The collections, `default` first."""
    return jsonify({"collections": to_json(list_collections(served().library.catalog))})


@api.patch("/collections/<name>", responses={200: CollectionOutput, **problems(404, 415)})
def change(path: CollectionPath, body: CollectionChange) -> Response:
    """Set which model writes the answers from a collection, and how, where a question does not say.

    What is left out stays as it is; null forgets it. It holds from the next question on, where that
    collection alone is asked.
    """
    if not body.model_fields_set:
        raise UsageError("Nothing is to be set. Give parameters, a model, or both.")
    library = served().library
    changes = body.parameters.model_dump(exclude_unset=True) if body.parameters else {}
    check_limits(changes, library.settings, of_collection=True)
    model = library.other_llms.resolve(body.model) if body.model else ""
    change_parameters(library.catalog, path.name, changes)
    if "model" in body.model_fields_set:
        change_model(library.catalog, path.name, model)
    found = next(c for c in list_collections(library.catalog) if c.name == path.name)
    return jsonify(to_json(found))
