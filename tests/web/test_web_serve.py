"""The real server: gunicorn in a process of its own, over the fake library."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from werkzeug.exceptions import RequestTimeout

from rag.errors import Busy, ModelError, Refused, UsageError
from rag.lock import find_holder
from rag.records import Question
from rag.session import RemoteSession, open_session
from rag.settings import Settings
from tests.web.fakes import FakeLibrary
from web.app import create_app
from web.cli import serve as serve_command
from web.connection import PatientInput
from web.serve import Server, address_of, bind, check_host
from web.served import Identity

RUN = """
import os, sys, time, pathlib
os.umask(0o022)
import ingest.worker, web.connection, web.draining, web.serve
from rag.settings import Settings
from tests.web.fakes import FakeLibrary, FakeWorker

class Slow(FakeLibrary):
    def __init__(self, settings): super().__init__(settings, ready=False)
    def load(self): time.sleep(0.5); self.is_ready = True
    def close(self):
        (self.settings.home / "closed").touch()
        super().close()

web.connection.WAIT_SECONDS, web.draining.SECONDS = map(float, sys.argv[2:])
ingest.worker.Worker = FakeWorker
web.serve.Library = Slow
web.serve.serve(Settings(home=pathlib.Path(sys.argv[1]), server_port=0, ingest_max_bytes=1_000_000,
                         ingest_free_bytes=0, server_threads=12))
"""


class Running:
    """A server process."""

    def __init__(self, home: Path, wait: float = 30, drain: float = 15) -> None:
        self.settings = Settings(home=home)
        command = [sys.executable, "-c", RUN, str(home), str(wait), str(drain)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60  # on a busy machine
        while not (home / "run/server.json").exists():
            assert self.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        self.address = json.loads((home / "run/server.json").read_text())["address"]

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=10)

    def status(self, path: str) -> int:
        connection = self.connect()
        connection.request("GET", path)
        status = connection.getresponse().status
        connection.close()
        return status

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + 60  # on a busy machine
        while self.status("/readyz") != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def end(self, number: signal.Signals) -> str:
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=20)
        return errors

    def open(self, sent: bytes) -> socket.socket:
        """A connection on which this has been sent and nothing more comes."""
        place = urlsplit(self.address)
        connection = socket.create_connection((place.hostname, place.port), timeout=60)
        connection.sendall(sent)
        return connection


@contextlib.contextmanager
def run(home: Path, **bounds: float) -> Iterator[Running]:
    server = Running(home, **bounds)
    yield server
    if server.process.poll() is None:
        server.end(signal.SIGTERM)
    if server.process.stderr is not None:
        server.process.stderr.close()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with run(tmp_path) as server:
        yield server


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_at_once_and_ends_in_order(running: Running, number: signal.Signals) -> None:
    home = running.settings.home
    assert running.status("/healthz") == 200
    assert running.status("/readyz") in (200, 503)
    running.wait_until_ready()
    holder = find_holder(running.settings)
    assert holder is not None
    assert holder.address == running.address
    stream = running.connect()
    body = json.dumps({"question": "slow secret words", "stream": True})
    stream.request("POST", "/api/v1/ask", body, {"Content-Type": "application/json"})
    assert stream.getresponse().read(6) == b"event:"
    begun = time.monotonic()
    errors = running.end(number)
    assert time.monotonic() - begun < 8
    stream.close()
    assert running.process.returncode == 0
    assert f"Cloister is ready at {running.address}" in errors
    assert "Traceback" not in errors
    assert (home / "closed").exists()
    assert not (home / "run/server.json").exists()
    log = (home / "logs/server.log").read_text()
    assert "POST /api/v1/ask 200" in log
    assert "secret words" not in log + errors


def test_it_proves_to_a_command_who_it_is(running: Running) -> None:
    running.wait_until_ready()
    with open_session(running.settings, "cloister ask") as session:
        assert isinstance(session, RemoteSession)
        assert session.search("leave", None, 5) == []
        assert [name for name, _ in session.ask(Question("How many days?"))][-1] == "done"
    another = RemoteSession(running.address, "0" * 64)
    with pytest.raises(Busy, match="is not this library's server"):
        another.search("leave", None, 5)
    log = (running.settings.home / "logs/server.log").read_text()
    assert "GET /identity 200" in log
    assert "challenge" not in log


def test_what_it_writes_is_its_owners_alone(running: Running) -> None:
    running.wait_until_ready()
    home = running.settings.home
    modes = {path.name: path.stat().st_mode & 0o077 for path in [home, *home.rglob("*")]}
    assert {"catalog.sqlite", "server.log", "server.json", "lock"} <= set(modes)
    assert {name: oct(mode) for name, mode in modes.items() if mode} == {}


def test_a_vanished_client_frees_its_place(running: Running) -> None:
    """Four answers at most fit here: more come one after the other only if places are freed."""
    running.wait_until_ready()
    for _ in range(6):
        connection = running.connect()
        body = json.dumps({"question": "slow", "stream": True})
        connection.request("POST", "/api/v1/ask", body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        assert reply.status == 200
        assert reply.read(6) == b"event:"
        reply.close()
        connection.close()
        time.sleep(0.5)


def test_an_upload_over_the_limit_gets_its_answer(running: Running) -> None:
    running.wait_until_ready()
    connection = running.connect()
    head = (
        b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\n'
        + b"x" * 20_000_000
        + b"\r\n--b--\r\n"
    )
    connection.request(
        "POST", "/api/v1/documents", head, {"Content-Type": "multipart/form-data; boundary=b"}
    )
    reply = connection.getresponse()
    assert reply.status == 413
    assert "ingest.max_bytes" in json.loads(reply.read())["detail"]
    connection.close()
    assert running.status("/healthz") == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /api/v1/ask HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b'Content-Length: 100\r\n\r\n{"q',
        b"POST /library HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n",
        b"POST /api/v1/ask HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"GET / HTTP/1.1\r\nHost: loc",
    ],
)
def test_clients_that_send_no_more_do_not_hold_the_server(sent: bytes, tmp_path: Path) -> None:
    """There are more of them than threads."""
    with run(tmp_path, wait=0.3) as running:
        stalled = [running.open(sent) for _ in range(13)]
        assert [running.status("/healthz") for _ in range(2)] == [200, 200]
        for connection in stalled:
            with connection, connection.makefile("rb") as reply:
                said = reply.read()
            assert sent.startswith(b"GET") or said.startswith(b"HTTP/1.1 408 ")
        assert "Traceback" not in running.end(signal.SIGTERM)


def test_a_body_that_never_comes_gets_its_answer(tmp_path: Path) -> None:
    sent = (
        b"POST /api/v1/documents HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999999\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    with (
        run(tmp_path, wait=300, drain=0.2) as running,
        running.open(sent) as connection,
        connection.makefile("rb") as reply,
    ):
        assert reply.readline().startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"x" * 9000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nA b: c\r\n\r\n", 400),
        (b"\x16\x03\x01 hello\r\n\r\n", 400),
    ],
)
def test_what_is_no_request_gets_a_problem_document(
    running: Running, sent: bytes, status: int
) -> None:
    with running.open(sent) as connection:
        reply = http.client.HTTPResponse(connection)
        reply.begin()
        problem = json.loads(reply.read())
        assert reply.status == problem["status"] == status
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    assert problem["detail"]
    errors = running.end(signal.SIGTERM)
    assert "Malformed request" in errors
    assert "Traceback" not in errors


def test_a_body_that_stopped_is_not_waited_for_again() -> None:
    reads: list[int] = []

    class Silent(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            reads.append(size or 0)
            raise BlockingIOError

    body = PatientInput(Silent())
    for _ in range(2):
        with pytest.raises(RequestTimeout, match="Send it again"):
            body.read(5)
    assert reads == [5]
    assert PatientInput(io.BytesIO(b"a\nb")).readlines() == [b"a\n", b"b"]


def test_a_second_server_is_told_who_holds_the_library(running: Running) -> None:
    environment = {**os.environ, "CLOISTER_HOME": str(running.settings.home)}
    result = CliRunner().invoke(serve_command, ["--port", "0"], env=environment)
    assert isinstance(result.exception, Busy)
    assert "cloister serve" in str(result.exception)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "example.org", ""])
def test_only_loopback_is_served(host: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"--host 127\.0\.0\.1"):
        check_host(host)
    environment = {"CLOISTER_HOME": str(tmp_path)}
    result = CliRunner().invoke(serve_command, ["--host", host or "0.0.0.0"], env=environment)
    assert isinstance(result.exception, Refused)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"])
def test_loopback_is_served(host: str) -> None:
    check_host(host)


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Busy, match=f"Port {port} is taken.*PORT={port + 1} make run"):
            bind("127.0.0.1", port)
    with pytest.raises(UsageError):
        bind("127.0.0.1", 70_000)


def test_an_llm_server_that_is_not_up_yet_is_looked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Documents are taken in meanwhile, and its reason is logged once."""
    monkeypatch.setattr("web.serve._AGAIN_SECONDS", 0.01)
    library = FakeLibrary(Settings(home=tmp_path), ready=False)
    happened: list[str] = []

    def load() -> None:
        happened.append("load")
        if happened.count("load") < 4:
            raise Busy("The LLM server at 127.0.0.1:8080 cannot be reached.")
        library.is_ready = True

    monkeypatch.setattr(library, "load", load)
    monkeypatch.setattr(Server, "_start_worker", lambda *_: happened.append("worker"))
    with bind("127.0.0.1", 0) as listener:
        server = Server(library.settings, listener, Identity(address_of(listener), "token"))
        server._app = create_app(library)
        server._load_library()
    assert happened == ["load", "worker", "load", "load", "load"]
    assert caplog.text.count("cannot be reached") == 1
    library.close()


def test_a_model_that_is_missing_is_not_looked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = FakeLibrary(Settings(home=tmp_path), ready=False)
    tries: list[int] = []

    def load() -> None:
        tries.append(1)
        raise ModelError("The model x is missing.")

    monkeypatch.setattr(library, "load", load)
    monkeypatch.setattr(Server, "_start_worker", lambda *_: None)
    with bind("127.0.0.1", 0) as listener:
        server = Server(library.settings, listener, Identity(address_of(listener), "token"))
        server._app = create_app(library)
        server._load_library()
    assert len(tries) == 1
    library.close()
