"""Whether the process answers, and whether it can answer questions."""

from __future__ import annotations

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag

from rag.errors import NotFound
from rag.identity import prove
from web.api.described import problems
from web.api.schemas import HealthOutput, IdentityOutput, IdentityQuery, ReadyOutput
from web.readiness import reason_not_ready
from web.served import served

api = APIBlueprint(
    "health", __name__, abp_tags=[Tag(name="Health")], abp_responses=problems(400, 403)
)


@api.get("/healthz", responses={200: HealthOutput})
def healthz() -> Response:
    """200 while the process answers."""
    return jsonify({"status": "ok"})


@api.get("/identity", responses={200: IdentityOutput, **problems(404)})
def identity(query: IdentityQuery) -> Response:
    """Proof to a command of this machine that this is the server that its data directory names.

    It is the HMAC-SHA256 of the challenge and the address, by a token that the owner can read.
    """
    own = served().identity
    if own is None:
        raise NotFound("This server was not started by “cloister serve”, so it has no identity.")
    return jsonify({"proof": prove(own.token, own.address, query.challenge)})


@api.get("/readyz", responses={200: ReadyOutput, 503: ReadyOutput})
def readyz() -> Response:
    """200 when the models are loaded and the indexes open, else 503.

    `reason` says what stands in the way; it is null while they are still being loaded. Where
    documents cannot be read, as on a full disk, questions still are answered: 200, with a reason.
    """
    library = served().library
    ready = library.ready
    response = jsonify(
        {
            "ready": ready,
            "parts": dict(library.readiness()),
            "reason": reason_not_ready(library),
        }
    )
    response.status_code = 200 if ready else 503
    return response
