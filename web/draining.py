"""Reads the rest of a request that is refused, so that its sender gets to read why.

A client that is still sending when its connection closes sees a broken connection and not the
reply.
"""

from __future__ import annotations

import threading
import time

from flask import request
from werkzeug.exceptions import RequestTimeout

from web.connection import client_socket, end_reading

SECONDS = 15.0
_MOST_BYTES = 2_000_000_000
_BLOCK = 1 << 18


def drain() -> None:
    """Throw away what the client still sends, within bounds of bytes and time."""
    stream = request.environ["wsgi.input"]
    # without a length only the server knows where the body ends
    if request.content_length is None and not request.environ.get("wsgi.input_terminated"):
        return
    left = min(request.content_length or _MOST_BYTES, _MOST_BYTES)
    until = time.monotonic() + SECONDS
    client = client_socket()
    # a read ends when its block is full, which a client that hardly sends would put off for ever
    ending = threading.Timer(SECONDS, end_reading, [client])
    ending.daemon = True
    ending.start()
    try:
        while left > 0 and time.monotonic() < until:
            block = stream.read(min(_BLOCK, left))
            if not block:
                return
            left -= len(block)
    except (OSError, RequestTimeout):  # gone, or as good as gone
        return
    finally:
        ending.cancel()
