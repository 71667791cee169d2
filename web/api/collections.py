"""The collections, and how answers from each are generated."""

from __future__ import annotations

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag

from rag.catalog.collections import change_parameters, list_collections
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
    """Set what answers from a collection are generated with, where a question does not say.

    A parameter that is left out stays as it is; null forgets it. It holds from the next question
    on, where that collection alone is asked.
    """
    library = served().library
    changes = body.parameters.model_dump(exclude_unset=True)
    check_limits(changes, library.settings, of_collection=True)
    change_parameters(library.catalog, path.name, changes)
    found = next(c for c in list_collections(library.catalog) if c.name == path.name)
    return jsonify(to_json(found))
