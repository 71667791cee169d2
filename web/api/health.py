"""Whether the process answers, and whether it can answer questions."""

from __future__ import annotations

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag

from web.api.described import problems
from web.api.schemas import HealthOutput, ReadyOutput
from web.served import served

api = APIBlueprint(
    "health", __name__, abp_tags=[Tag(name="Health")], abp_responses=problems(400, 403)
)


@api.get("/healthz", responses={200: HealthOutput})
def healthz() -> Response:
    """200 while the process answers."""
    return jsonify({"status": "ok"})


@api.get("/readyz", responses={200: ReadyOutput, 503: ReadyOutput})
def readyz() -> Response:
    """200 when the models are loaded and the indexes open, else 503."""
    library = served().library
    ready = library.ready
    response = jsonify({"ready": ready, "parts": dict(library.readiness())})
    response.status_code = 200 if ready else 503
    return response
