"""One answer of the server, piece by piece: tried again before its first token, never after it."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from typing import Any

from rag.errors import Busy
from rag.models.server import faults
from rag.models.server.access import Access
from rag.models.server.events import EventReader, Malformed
from rag.models.server.exchange import (
    BrokenOff,
    Exchange,
    Late,
    NotReached,
    NotTrusted,
    Stopped,
)
from rag.models.server.faults import Fault
from rag.models.server.pieces import Piece, ServerSaid, piece_of

CHAT = "/v1/chat/completions"
# what is waited at most before a further try, whatever the server asks for
LONGEST_WAIT = 30.0
_FIRST_WAIT = 0.5
_LAST_SECONDS = 1.0
# the field by which the count of tokens is asked for; some servers do not know it
_COUNTS = "stream_options"
_LONGEST_ERROR = 65_536


def completion(
    access: Access, body: Mapping[str, Any], stop: threading.Event, path: str = CHAT
) -> Generator[Piece, None, None]:
    """The pieces of an answer to `body`. Leaving the iterator, or setting `stop`, ends it at once.

    Raises Busy where the server cannot be reached, has too much to do or is too slow, ModelError
    where it refuses or fails, or breaks off after its first token.
    """
    until = time.monotonic() + access.limits.answer
    for attempt in itertools.count():
        begun = False
        try:
            for piece in _once(access, path, body, until, stop):
                begun = begun or piece.alive
                yield piece
            return
        except Stopped:
            return
        except Fault as fault:
            if not begun and _COUNTS in body and _COUNTS in str(fault):
                body = {name: value for name, value in body.items() if name != _COUNTS}
                continue
            if begun or not fault.again or attempt >= access.limits.retries:
                raise fault.error from fault
            wait = fault.after or _back_off(attempt)
            if wait > LONGEST_WAIT or time.monotonic() + wait > until:
                raise _too_long(access, fault) from fault
            if stop.wait(wait):
                return


def _once(
    access: Access, path: str, body: Mapping[str, Any], until: float, stop: threading.Event
) -> Iterator[Piece]:
    limits = access.limits
    begun = finished = False
    patience = min(until, time.monotonic() + limits.first_token)
    reader = EventReader()
    sent = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    with Exchange(access, "POST", path, sent) as exchange:
        try:
            head = exchange.head(patience, stop)
            if head.status != 200:
                raise faults.of_status(
                    access, head, _error_body(exchange, stop), str(body["model"])
                )
            while not reader.done:
                data = exchange.take(patience, stop)
                for event in reader.feed(data) if data else reader.end():
                    piece = piece_of(event)
                    finished = finished or bool(piece.finish)
                    if piece.alive:
                        begun = True
                        patience = min(until, time.monotonic() + limits.token)
                    yield piece
                if finished:  # the count of tokens may follow, and does so at once
                    patience = min(patience, time.monotonic() + _LAST_SECONDS)
                if not data:
                    break
        except NotReached as error:
            raise faults.not_reached(access, str(error)) from error
        except NotTrusted as error:
            raise faults.not_trusted(access, str(error)) from error
        except BrokenOff as error:
            if not finished:
                raise faults.broken_off(access, begun) from error
        except Late as error:
            if not finished:
                raise _late(access, begun, until) from error
        except Malformed as error:
            raise faults.no_stream(access, str(error)) from error
        except ServerSaid as said:
            raise faults.of_words(access, said.message, said.code, said.kind, begun) from said
    if not finished and not reader.done:
        raise faults.broken_off(access, begun)


def _error_body(exchange: Exchange, stop: threading.Event) -> bytes:
    """What comes with an error, as far as it comes soon and is short."""
    body, until = b"", time.monotonic() + 5
    with contextlib.suppress(Late, BrokenOff):  # what came before is told
        while len(body) < _LONGEST_ERROR and (data := exchange.take(until, stop)):
            body += data
    return body[:_LONGEST_ERROR]


def _late(access: Access, begun: bool, until: float) -> Fault:
    limits = access.limits
    if time.monotonic() >= until:
        return faults.late(access, "whole answer", limits.answer, "llm.answer_seconds")
    if begun:
        return faults.late(access, "further token", limits.token, "llm.token_seconds")
    return faults.late(access, "first token", limits.first_token, "llm.first_token_seconds")


def _too_long(access: Access, fault: Fault) -> Exception:
    if not fault.after:
        return fault.error
    return Busy(f"{access.named} asks to wait {fault.after:.0f} s. Ask again then.")


def _back_off(attempt: int) -> float:
    """Twice as long each time, and never the same, so that many do not come back together."""
    return float(min(8.0, _FIRST_WAIT * 2.0**attempt) * random.uniform(0.5, 1.0))
