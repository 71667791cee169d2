"""The reply to what is no request for an app: too long a first line, a header that is none."""

from __future__ import annotations

import contextlib
import json
import socket
from http import HTTPStatus

from gunicorn.http.errors import (
    ExpectationFailed,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)

from web.problems import MEDIA_TYPE
from web.security import HEADERS

_KINDS: dict[type[BaseException], tuple[int, str]] = {
    LimitRequestLine: (414, "The address is too long. Send less in its query."),
    LimitRequestHeaders: (431, "The request's headers are too many or too long. Send fewer."),
    ExpectationFailed: (417, "Of what a request may expect only 100-continue is known."),
    UnsupportedTransferCoding: (501, "A body may be sent in chunks, and in no other coding."),
}
_OTHER = (400, "This is no request of HTTP/1.1. Check its first line and its headers.")
# these are a reply's own
_NOT_THE_CLIENTS = (InvalidResponseHeader, InvalidResponseHeaderName)


def is_malformed(error: BaseException) -> bool:
    """Whether an error of gunicorn's says that what a client sent is no request."""
    return isinstance(error, ParseException) and not isinstance(error, _NOT_THE_CLIENTS)


def refuse(client: socket.socket, error: BaseException) -> None:
    """Tell the client so, as every problem is told; the connection ends with it."""
    status, detail = _KINDS.get(type(error), _OTHER)
    title = HTTPStatus(status).phrase
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    body = json.dumps(document).encode()
    headers = {
        **HEADERS,
        "Cache-Control": "no-store",
        "Connection": "close",
        "Content-Length": str(len(body)),
        "Content-Type": MEDIA_TYPE,
    }
    lines = [f"HTTP/1.1 {status} {title}", *(f"{name}: {text}" for name, text in headers.items())]
    with contextlib.suppress(OSError):  # gone
        client.sendall("\r\n".join([*lines, "", ""]).encode() + body)
