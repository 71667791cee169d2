"""An answer as server-sent events: `event: NAME`, `data: JSON`, an empty line."""

from __future__ import annotations

import json
from collections.abc import Iterator

from flask import Response
from werkzeug.exceptions import ClientDisconnected

from rag.errors import CloisterError
from rag.records import Event
from web.answering import AnswerEnded, Answering
from web.problems import problem, unexpected_problem

MEDIA_TYPE = "text/event-stream"
PING_SECONDS = 1.0
_PING = b": ping\n\n"
# an error that comes within this time is the response's status instead of an event
_FIRST_SECONDS = 2.0


def stream(answering: Answering) -> Response:
    """The response that sends an answer as it comes. Raises what comes before the first event."""
    try:
        first = answering.take(_FIRST_SECONDS)
    except BaseException:
        answering.stop()
        raise
    response = Response(EventStream(answering, first), mimetype=MEDIA_TYPE)
    response.headers["X-Accel-Buffering"] = "no"
    return response


class EventStream(Iterator[bytes]):
    """The bytes of a stream.

    A class and no generator: `close()` must stop the answer even when nothing was sent yet.
    """

    def __init__(self, answering: Answering, first: Event | None) -> None:
        self._answering = answering
        self._first = first
        self._ended = False

    def __next__(self) -> bytes:
        if self._ended:
            raise StopIteration
        event, self._first = self._first, None
        try:
            event = event or self._answering.take(PING_SECONDS)
        except (AnswerEnded, ClientDisconnected):
            self._ended = True
            raise StopIteration from None
        except CloisterError as error:
            event = Event("error", problem(error))
        except Exception as error:  # noqa: BLE001  # the boundary: the status has gone out
            event = Event("error", unexpected_problem(error, "a streamed answer"))
        if event is None:
            return _PING
        self._ended = event.name in ("done", "error")
        return encode(event)

    def close(self) -> None:
        """Called by the server when the client has gone or has it all."""
        self._answering.stop()


def encode(event: Event) -> bytes:
    """One event as bytes."""
    data = json.dumps(event.data, ensure_ascii=False, separators=(",", ":"))
    return f"event: {event.name}\ndata: {data}\n\n".encode("utf-8", "replace")
