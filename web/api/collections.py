"""The collections, and how answers from each are generated."""

from __future__ import annotations

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag

from rag.catalog.collections import (
    change_model,
    change_parameters,
    collection_names,
    create_collection,
    get_collection,
    list_collections,
)
from rag.errors import UsageError
from rag.parameters import check_limits
from rag.records import to_json
from web.api.described import problems
from web.api.schemas import (
    CollectionChange,
    CollectionInput,
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


@api.post(
    "/collections",
    responses={201: CollectionOutput, 200: CollectionOutput, **problems(415)},
)
def make(body: CollectionInput) -> tuple[Response, int]:
    """Make a collection. One that is there is left as it is: 200 instead of 201."""
    catalog = served().library.catalog
    is_new = body.name not in collection_names(catalog)
    create_collection(catalog, body.name)
    return jsonify(to_json(get_collection(catalog, body.name))), 201 if is_new else 200


@api.get("/collections/<name>", responses={200: CollectionOutput, **problems(404)})
def show(path: CollectionPath) -> Response:
    """One collection."""
    return jsonify(to_json(get_collection(served().library.catalog, path.name)))


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
    return jsonify(to_json(get_collection(library.catalog, path.name)))
