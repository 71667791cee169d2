"""The connection that a request came on: is its client there, and how long is it waited for.

A thread that reads what its client does not send is lost to all others. So no read waits longer
than WAIT_SECONDS for the next byte, however long the whole takes; what is sent is not bounded.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from flask import request
from werkzeug.exceptions import RequestTimeout

# a network that drops packets makes a sender pause for some seconds, and one that is asleep is
# not worth a thread; an upload that goes on may be as slow as it likes
WAIT_SECONDS = 30.0
_LEAVE_SECONDS = 2.0
_LEAVE_BYTES = 1 << 12
_LEAVE_BLOCKS = 16
_WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]


class _Input(Protocol):
    """What WSGI lets an app read a body with."""

    def read(self, size: int = -1, /) -> bytes: ...

    def readline(self, size: int = -1, /) -> bytes: ...


def client_socket() -> socket.socket | None:
    """The current request's connection, where the server tells it."""
    environ = request.environ
    found = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    return found if isinstance(found, socket.socket) else None


def has_gone(client: socket.socket) -> bool:
    """Whether the client has closed its end, seen without taking what it may have sent."""
    try:
        readable, _, _ = select.select([client], [], [], 0)
        if not readable:
            return False
        return client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except (OSError, ValueError):  # reset, or closed already
        return True


def bound_waiting(client: socket.socket) -> None:
    """Let a read of a blocking socket raise BlockingIOError after WAIT_SECONDS without a byte.

    The kernel's own limit: it outlasts the changes between blocking and not that gunicorn makes,
    and leaves what is sent alone.
    """
    seconds, rest = divmod(WAIT_SECONDS, 1)
    wait = struct.pack("@ll", int(seconds), int(rest * 1_000_000))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, wait)


def take_leave(client: socket.socket) -> None:
    """Say that no more is sent, and see for a moment whether the client closes its end too.

    Closing while it still sends would keep it from reading its reply. gunicorn waits likewise, but
    in the one thread that takes connections; after this it finds nothing to wait for.
    """
    until = time.monotonic() + _LEAVE_SECONDS
    with contextlib.suppress(OSError):  # it has closed, or does nothing
        client.shutdown(socket.SHUT_WR)
        for _ in range(_LEAVE_BLOCKS):
            client.settimeout(max(0.001, until - time.monotonic()))
            if not client.recv(_LEAVE_BYTES):
                break
    end_reading(client)


def end_reading(client: socket.socket | None) -> None:
    """Let a read that waits, and all that follow, find the end of what was sent."""
    if client is not None:
        with contextlib.suppress(OSError):  # closed already
            client.shutdown(socket.SHUT_RD)


class PatientInput:
    """A request's body; 408 where nothing of it comes for too long, and at once ever after."""

    def __init__(self, stream: _Input) -> None:
        self._stream = stream
        self._stalled = False

    def read(self, size: int = -1) -> bytes:
        """As a file's. Raises RequestTimeout."""
        return self._bounded(self._stream.read, size)

    def readline(self, size: int = -1) -> bytes:
        """As a file's. Raises RequestTimeout."""
        return self._bounded(self._stream.readline, size)

    def readlines(self, _hint: int = -1) -> list[bytes]:
        """As a file's. Raises RequestTimeout."""
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def _bounded(self, read: Callable[[int], bytes], size: int) -> bytes:
        if not self._stalled:
            try:
                return read(size)
            except BlockingIOError:
                self._stalled = True
        raise RequestTimeout(
            f"Nothing more of the request came for {WAIT_SECONDS:g} seconds. Send it again."
        )


def with_patience(app: _WsgiApp) -> _WsgiApp:
    """The app, reading bodies from connections whose waiting is bounded."""

    def served(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["wsgi.input"] = PatientInput(environ["wsgi.input"])
        return app(environ, start_response)

    return served
