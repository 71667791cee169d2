"""A server on loopback that plays back bytes, faults among them, and notes what it was asked."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

# in a reply: seconds of silence, or silence until the client goes
HANG = float("inf")
Part = bytes | float


@dataclass(frozen=True)
class Reply:
    """A status with what follows; with `chunked` in HTTP's chunks, else until the connection ends.

    `reset` ends the connection at once, without the rest of the reply; `raw` leaves the head out.
    """

    parts: Sequence[Part] = ()
    status: int = 200
    kind: str = "text/event-stream"
    headers: tuple[tuple[str, str], ...] = ()
    chunked: bool = False
    reset: bool = False
    raw: bool = False


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Played:
    """What is played at each path, the last reply again and again, and what was asked there."""

    address: str
    replies: dict[str, list[Reply]]
    asked: list[Asked] = field(default_factory=list)
    open: int = 0
    gone: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def chats(self) -> list[Asked]:
        """The requests for an answer."""
        return [asked for asked in self.asked if asked.path.endswith("/chat/completions")]


def sse(*events: object) -> list[Part]:
    """Events as servers send them, each in a write of its own."""
    return [f"data: {e if isinstance(e, str) else json.dumps(e)}\n\n".encode() for e in events]


def said(text: str | None, **more: Any) -> dict[str, Any]:
    """An event with a piece of text."""
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None, **more}]}


def ended(reason: str = "stop") -> dict[str, Any]:
    """An event that ends the answer."""
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


def answer(*words: str) -> Reply:
    """A sound answer."""
    return Reply([*sse(*map(said, words), ended()), *sse("[DONE]")])


def listed(*rows: dict[str, Any]) -> Reply:
    """A list of models."""
    return value({"object": "list", "data": list(rows)})


def value(found: object, status: int = 200, **headers: str) -> Reply:
    """A JSON value."""
    named = tuple((name.replace("_", "-"), text) for name, text in headers.items())
    return Reply([json.dumps(found).encode()], status, "application/json", named)


NOTHING = value({"error": "not found"}, 404)


@contextmanager
def playing(
    chat: Iterable[Reply] = (), tls: ssl.SSLContext | None = None, **paths: Reply
) -> Iterator[Played]:
    """A server whose answers are `chat`, in turn; `paths` by their names with _ for /."""
    listener = socket.create_server(("127.0.0.1", 0))
    host, port = listener.getsockname()
    replies = {"/v1/chat/completions": list(chat), "/v1/models": [listed({"id": "m"})]}
    replies |= {"/" + name.replace("__", "/"): [reply] for name, reply in paths.items()}
    played = Played(f"{host}:{port}", replies)
    sockets: list[socket.socket] = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                sockets.append(sock)
                threading.Thread(target=_serve, args=(played, sock, tls), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield played
    finally:
        listener.close()
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def _serve(played: Played, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
    played.open += 1
    try:
        with contextlib.suppress(OSError):
            used = tls.wrap_socket(sock, server_side=True) if tls else sock
            with used, used.makefile("rb") as stream:
                asked = _read(stream)
                if asked is None:
                    return
                played.asked.append(asked)
                left = played.replies.get(asked.path, [NOTHING])
                _play(used, left.pop(0) if len(left) > 1 else left[0])
    finally:
        played.open -= 1
        played.gone.set()


def _read(stream: Any) -> Asked | None:
    first = stream.readline().decode("latin-1").split()
    if len(first) != 3:
        return None
    headers = {}
    while line := stream.readline().strip():
        name, _, text = line.decode("latin-1").partition(":")
        headers[name.lower()] = text.strip()
    data = stream.read(int(headers.get("content-length", 0)))
    return Asked(first[0], first[1], headers, json.loads(data) if data else None)


def _play(sock: socket.socket, reply: Reply) -> None:
    if not reply.raw:
        head = [f"HTTP/1.1 {reply.status} X", f"Content-Type: {reply.kind}"]
        head += [f"{name}: {text}" for name, text in reply.headers]
        head += ["Transfer-Encoding: chunked"] if reply.chunked else ["Connection: close"]
        sock.sendall("\r\n".join([*head, "", ""]).encode())
    for part in reply.parts:
        if part == HANG:
            while sock.recv(1):
                pass
            return
        if isinstance(part, float):
            time.sleep(part)
        elif reply.chunked:
            sock.sendall(b"%x\r\n%s\r\n" % (len(part), part))
        else:
            sock.sendall(part)
    if reply.chunked and not reply.reset:
        sock.sendall(b"0\r\n\r\n")
