"""The documents of the library: list, add, look at, retry, remove."""

from __future__ import annotations

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag

from rag.catalog.documents import get_document, remove
from rag.catalog.failures import left_out
from web.api.described import problems
from web.api.schemas import (
    UPLOAD_BODY,
    DocumentOutput,
    DocumentPath,
    DocumentsOutput,
    LeftOutOutput,
    ListQuery,
    ReceivedOutput,
)
from web.documents import document_json, list_part, retry
from web.images import images
from web.problems import problem_response
from web.served import served
from web.uploads import receive_request

api = APIBlueprint(
    "documents",
    __name__,
    url_prefix="/api/v1",
    abp_tags=[Tag(name="Documents")],
    abp_responses=problems(400, 403, 404),
)


_MOST_LEFT_OUT = 1000


@api.get("/documents", responses={200: DocumentsOutput})
def listing(query: ListQuery) -> Response:
    """The documents by source, in parts: `next` is the cursor of the part that follows.

    The files within an archive or a mail come right after it; `parent` asks for those of one.
    `q` asks for those that have each of its words in their source or title, in any case, with or
    without accents.
    """
    catalog = served().library.catalog
    part, cursor = list_part(
        catalog, query.limit, query.cursor, query.collection, query.parent, query.q
    )
    return jsonify({"documents": [document_json(item) for item in part], "next": cursor})


@api.post(
    "/documents",
    responses={202: ReceivedOutput, **problems(413, 415, 422, 507)},
    openapi_extensions=UPLOAD_BODY,
)
def add() -> tuple[Response, int] | Response:
    """Take in one or many files; each is read later, which its state tells.

    Where none could be taken in, the reply is the first one's problem, with all in `errors`.
    """
    receipt = receive_request()
    if not receipt.documents:
        first = {name: value for name, value in receipt.errors[0].items() if name != "source"}
        return problem_response({**first, "documents": [], "errors": receipt.errors})
    return jsonify({"documents": receipt.documents, "errors": receipt.errors}), 202


@api.get("/documents/<document_id>", responses={200: DocumentOutput})
def show(path: DocumentPath) -> Response:
    """One document and its state."""
    return jsonify(document_json(get_document(served().library.catalog, path.document_id)))


@api.get("/documents/<document_id>/left-out", responses={200: LeftOutOutput})
def show_left_out(path: DocumentPath) -> Response:
    """The files within an archive or a mail that are no documents, and why: 1,000 at most."""
    catalog = served().library.catalog
    get_document(catalog, path.document_id)
    files = [
        {"name": member.name, "code": member.error_code, "reason": member.error}
        for member in left_out(catalog, path.document_id, _MOST_LEFT_OUT)
    ]
    return jsonify({"files": files})


@api.delete("/documents/<document_id>", responses={204: None})
def delete(path: DocumentPath) -> tuple[str, int]:
    """Remove a document and what is within it: gone from the next answer on."""
    remove(served().library.catalog, path.document_id)
    images().forget()
    served().wake()
    return "", 204


@api.post("/documents/<document_id>/retry", responses={202: DocumentOutput})
def again(path: DocumentPath) -> tuple[Response, int]:
    """Read a document again that failed, or in which a file did."""
    document = retry(served().library.catalog, path.document_id)
    served().wake()
    return jsonify(document_json(document)), 202
