"""Every failure of a request as an RFC 9457 problem document, or as a page for a person."""

from __future__ import annotations

import json
import logging
import secrets
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, render_template, request
from pydantic import ValidationError
from werkzeug.exceptions import (
    BadRequest,
    ClientDisconnected,
    HTTPException,
    MethodNotAllowed,
    RequestEntityTooLarge,
    UnsupportedMediaType,
)

from rag.errors import DISK_ERRORS, CloisterError, UsageError, storage_error
from web.draining import drain
from web.wording import said

MEDIA_TYPE = "application/problem+json"
_BUSY = "urn:cloister:problem:busy"
# an answer, or a model that is being loaded, takes seconds; nobody knows how many
_PAUSE_SECONDS = "5"
_log = logging.getLogger("cloister")
# answered in JSON whatever the client accepts
_FOR_PROGRAMS = ("/api/v1/", "/openapi.json", "/healthz", "/identity", "/readyz", "/static/")


def install(app: Flask) -> None:
    """Handle Cloister's errors, HTTP's and all others."""
    app.register_error_handler(CloisterError, _explained)
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(OSError, _of_the_system)
    app.register_error_handler(Exception, _unexpected)


def problem(error: CloisterError) -> dict[str, Any]:
    """An error as a problem document."""
    return {
        "type": f"urn:cloister:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": str(error),
    }


def problem_response(document: dict[str, Any]) -> Response:
    """A problem document as the answer to a program."""
    text = json.dumps(document, ensure_ascii=False)
    response = Response(text, status=document["status"], mimetype=MEDIA_TYPE)
    return _with_pause(response, document)


def refuse_invalid(error: ValidationError) -> Any:
    """Turn a failed validation into UsageError, naming each field that is wrong.

    Raises the error of malformed JSON or of a wrong media type where that is the reason.
    """
    errors = error.errors(include_url=False, include_input=False)
    if not all(item["loc"] for item in errors):
        read_json()
        raise UsageError('The body must be a JSON object, like {"question": "…"}.')
    raise UsageError("; ".join(said(item) for item in errors[:5]) + ".")


def read_json() -> Any:
    """The body's value. Raises UsageError where it is no JSON, UnsupportedMediaType."""
    try:
        return request.get_json()
    except UnsupportedMediaType as error:
        message = "Send JSON, with the header “Content-Type: application/json”."
        raise UnsupportedMediaType(message) from error
    except BadRequest as error:
        if isinstance(error, ClientDisconnected):
            raise
        raise UsageError("The body is not valid JSON. Check its quotes and brackets.") from error


def _explained(error: CloisterError) -> Response:
    return _respond(problem(error))


def _of_http(error: HTTPException) -> Response:
    if error.response is not None and error.code is None:
        raise error
    status = error.code or 500
    if status < 400:  # a redirect
        return Response(error.get_body(), status=status, headers=error.get_headers())
    detail = error.description or ""
    if isinstance(error, RequestEntityTooLarge):
        drain()
        most = request.max_content_length or 0
        detail = f"The request is over the limit of {most:,} bytes. Send less at once."
        if request.mimetype == "multipart/form-data":
            detail = (
                f"The request is over a limit: {most:,} bytes in all, and a set number of parts. "
                "Send less at once, or ask the operator to raise ingest.max_bytes or "
                "ingest.max_files."
            )
    document = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    response = _respond(document)
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def _of_the_system(error: OSError) -> Response:
    if error.errno in DISK_ERRORS:
        return _respond(problem(storage_error(error)))
    return _unexpected(error)


def _unexpected(error: Exception) -> Response:
    return _respond(unexpected_problem(error, request.path))


def unexpected_problem(error: BaseException, where: str) -> dict[str, Any]:
    """Log an error that nobody foresaw; the document holds only the reference to find it by."""
    reference = secrets.token_hex(4)
    _log.error("unexpected error, reference %s, in %s", reference, where, exc_info=error)
    return {
        "type": "about:blank",
        "title": "Something went wrong inside Cloister",
        "status": 500,
        "detail": f"It is noted in the server's log under {reference}. Try again, and report it "
        "with this reference if it stays.",
        "reference": reference,
    }


def _respond(document: dict[str, Any]) -> Response:
    if _wants_page():
        text = render_template("problem.html", problem=document)
        response = Response(text, status=document["status"], mimetype="text/html")
        return _with_pause(response, document)
    return problem_response(document)


def _with_pause(response: Response, document: dict[str, Any]) -> Response:
    """With how long a program should wait, where trying again will do."""
    if document["type"] == _BUSY:
        response.headers["Retry-After"] = _PAUSE_SECONDS
    return response


def _wants_page() -> bool:
    if request.path.startswith(_FOR_PROGRAMS):
        return False
    best = request.accept_mimetypes.best_match([MEDIA_TYPE, "application/json", "text/html"])
    return best == "text/html"
