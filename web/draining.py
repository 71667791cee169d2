"""Reads the rest of a request that is refused, so that its sender gets to read why.

A client that is still sending when its connection closes sees a broken connection and not the
reply.
"""

from __future__ import annotations

import time

from flask import request

_MOST_BYTES = 2_000_000_000
_SECONDS = 15.0
_BLOCK = 1 << 18


def drain() -> None:
    """Throw away what the client still sends, within bounds of bytes and time."""
    stream = request.environ["wsgi.input"]
    # without a length only the server knows where the body ends
    if request.content_length is None and not request.environ.get("wsgi.input_terminated"):
        return
    left = min(request.content_length or _MOST_BYTES, _MOST_BYTES)
    until = time.monotonic() + _SECONDS
    while left > 0 and time.monotonic() < until:
        try:
            block = stream.read(min(_BLOCK, left))
        except OSError:  # gone
            return
        if not block:
            return
        left -= len(block)
