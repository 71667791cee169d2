"""How the interface describes itself: the OpenAPI document and a page to read it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask, Response, current_app, jsonify, render_template
from flask_openapi3 import OpenAPI
from flask_openapi3.types import ResponseDict

pages = Blueprint("described", __name__)
_METHODS = ("get", "post", "put", "patch", "delete")


def problems(*statuses: int) -> ResponseDict:
    """The descriptions of the problem documents that a route may answer with."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"content": {"application/problem+json": {"schema": schema}}} for status in statuses
    }


def finish(document: dict[str, Any]) -> dict[str, Any]:
    """The document without what flask-openapi3 leaves empty or puts there twice."""
    components = document["components"]
    if components.get("securitySchemes") is None:
        components.pop("securitySchemes", None)
    for item in document["paths"].values():
        for operation in item.values():
            operation["responses"] = dict(sorted(operation["responses"].items()))
            if "description" in operation:
                operation["description"] = operation["description"].replace("<br/>", " ").strip()
    for schema in components["schemas"].values():
        schema.pop("$defs", None)
    return document


@pages.get("/openapi.json")
def openapi() -> Response:
    """The OpenAPI 3.1 document."""
    return jsonify(_document(current_app))


@pages.get("/api/docs")
def docs() -> str:
    """The same for people."""
    document = _document(current_app)
    operations = [
        (method.upper(), path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in _METHODS
    ]
    return render_template("docs.html", document=document, operations=operations)


def _document(app: Flask) -> dict[str, Any]:
    if not isinstance(app, OpenAPI):
        raise TypeError("the app was not made by create_app")
    return finish(app.api_doc)
