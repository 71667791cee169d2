"""One HTTP request to the server and the bytes of its reply, which any thread may break off.

A thread of its own connects, sends and reads, so that whoever waits for the reply can look at
deadlines and at being given up meanwhile. Closing shuts the connection down at once: a server
that notices frees the place that the answer had.
"""

from __future__ import annotations

import contextlib
import http.client
import queue
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

from rag import __version__
from rag.models.server.access import Access

# one that is given up is noticed within this time
_LOOK_SECONDS = 0.05
_READ_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a reply; the headers' names are in small letters."""

    status: int
    headers: Mapping[str, str]


class NotReached(Exception):
    """No connection came about; `str()` says why."""


class NotTrusted(Exception):
    """The server's certificate is not one that is trusted; `str()` says why."""


class BrokenOff(Exception):
    """The connection ended before the reply did."""


class Late(Exception):
    """Nothing came until the deadline."""


class Stopped(Exception):
    """The reply is not wanted any more."""


class Exchange:
    """A request under way, from its making; leaving its block closes it.

    It follows no redirect and uses no proxy of the environment: what is sent goes to the address
    and nowhere else.
    """

    def __init__(self, access: Access, method: str, path: str, body: bytes | None = None) -> None:
        self._access = access
        self._request = (method, access.address.path + path, body)
        self._items: queue.SimpleQueue[Head | bytes | Exception] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._socket: socket.socket | None = None
        self._closed = False
        # a daemon: it only waits for a socket, and nothing of torch is in its hands
        threading.Thread(target=self._run, name="llm-server", daemon=True).start()

    def __enter__(self) -> Exchange:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def head(self, until: float, stop: threading.Event) -> Head:
        """The status and headers. Raises as `take` does, and NotReached and NotTrusted."""
        item = self._next(until, stop)
        if not isinstance(item, Head):
            raise BrokenOff("its reply has no beginning")
        return item

    def take(self, until: float, stop: threading.Event) -> bytes:
        """The next bytes of the reply, empty at its end.

        Raises Late when none come until the moment `until` (of `time.monotonic`), Stopped when
        `stop` is set before, BrokenOff when the connection ends within the reply.
        """
        item = self._next(until, stop)
        return item if isinstance(item, bytes) else b""

    def close(self) -> None:
        """End the connection at once, whatever is under way. May be called more than once."""
        with self._guard:
            self._closed = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def _next(self, until: float, stop: threading.Event) -> Head | bytes:
        while True:
            if stop.is_set():
                raise Stopped
            left = until - time.monotonic()
            try:
                item = self._items.get(timeout=max(0.0, min(_LOOK_SECONDS, left)))
            except queue.Empty:
                if left <= 0:
                    raise Late from None
                continue
            if isinstance(item, Exception):
                raise item
            return item

    def _run(self) -> None:
        connection = None
        try:
            connection = self._connect()
            self._exchange(connection)
        except (NotReached, NotTrusted) as error:
            self._items.put(error)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._items.put(BrokenOff(str(error)))
        except BaseException as error:
            self._items.put(BrokenOff(type(error).__name__))
            raise
        finally:
            with self._guard:
                self._closed = True
                if self._socket is not None:
                    self._socket.close()
                    self._socket = None
            if connection is not None:
                connection.close()

    def _exchange(self, connection: http.client.HTTPConnection) -> None:
        method, path, body = self._request
        headers = {
            "Host": self._access.address.named,
            "User-Agent": f"cloister/{__version__}",
            "Accept": "text/event-stream, application/json",
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        if self._access.key:
            headers["Authorization"] = f"Bearer {self._access.key}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        named = {name.lower(): value for name, value in response.getheaders()}
        self._items.put(Head(response.status, named))
        while data := response.read1(_READ_BYTES):
            self._items.put(data)
        self._items.put(b"")

    def _connect(self) -> http.client.HTTPConnection:
        """A connection that is open, and that never opens another one."""
        address, limits = self._access.address, self._access.limits
        try:
            plain = self._keep(_reach(address.hosts, address.port, limits.connect))
            if self._access.tls is not None:
                self._encrypt(plain, self._access.tls)
        except ssl.SSLCertVerificationError as error:
            raise NotTrusted(error.verify_message) from error
        except (OSError, UnicodeError) as error:
            raise NotReached(_reason(error)) from error
        connection = http.client.HTTPConnection(address.host, address.port)
        connection.auto_open = 0
        with self._guard:
            if self._socket is None:
                raise NotReached("it was given up")
            # whoever waits has deadlines of its own; this one ends the thread if nobody does
            self._socket.settimeout(limits.answer + 10)
            connection.sock = self._socket
        return connection

    def _encrypt(self, plain: socket.socket, tls: ssl.SSLContext) -> None:
        """Go on encrypted. Raises NotReached where that does not come about."""
        encrypted = tls.wrap_socket(
            plain, server_hostname=self._access.address.host, do_handshake_on_connect=False
        )
        self._keep(encrypted)
        try:
            encrypted.do_handshake()
        except ssl.SSLCertVerificationError:
            raise
        except OSError as error:  # a server without encryption answers, waits, or breaks off
            raise NotReached(f"no encrypted connection came about ({_reason(error)})") from error

    def _keep(self, made: socket.socket) -> socket.socket:
        """Let `close` end this socket; where it was called already, that is done now."""
        with self._guard:
            if self._closed:
                made.close()
                raise OSError("it was given up")
            self._socket = made
        return made


def _reach(hosts: tuple[str, ...], port: int, seconds: float) -> socket.socket:
    """A socket that is connected to the first of the hosts that answers. Raises OSError."""
    failed: OSError | None = None
    for host in hosts:
        try:
            made = socket.create_connection((host, port), seconds)
        except OSError as error:
            failed = failed or error
            continue
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made
    raise failed or OSError("it has no address")


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, ssl.SSLError):
        return str(error.reason or error)
    text = error.strerror if isinstance(error, OSError) else None
    return text or str(error) or type(error).__name__
