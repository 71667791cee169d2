"""Kill -9 of the real server while it takes files in: nothing acknowledged is lost or doubled."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag.catalog.index_rows import index_rows
from rag.catalog.passages import live_passages
from rag.library import Library
from rag.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
FILES = 20


class Server:
    """`cloister serve` as a process group of its own, on a port of its own."""

    def __init__(self, home: Path, models: Path) -> None:
        self.port = _free_port()
        environment = os.environ | {"CLOISTER_HOME": str(home), "CLOISTER_MODELS": str(models)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rag.cli", "serve", "--port", str(self.port)],
            cwd=ROOT,
            env=environment,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def request(self, method: str, path: str, body: bytes = b"", kind: str = "") -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body, {"Content-Type": kind} if kind else {})
        response = connection.getresponse()
        answer = json.loads(response.read() or b"null")
        connection.close()
        return response.status, answer

    def wait_until_up(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                self.request("GET", "/healthz")
            except OSError:
                assert time.monotonic() < deadline
                assert self.process.poll() is None
                time.sleep(0.1)
            else:
                return

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _text(number: int) -> str:
    return "\n\n".join(
        f"Report {number}, part {part}. Pump {number}-{part} was checked on day {part + 1} of week "
        f"{number + 1}; its pressure was {number * 37 + part * 11} kilopascal, and the seal of "
        f"valve {part * 13 + number} was renewed by team {(number + part) % 7}."
        for part in range(12)
    )


def _upload_all(server: Server) -> list[str]:
    boundary = uuid.uuid4().hex
    parts = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; '
        f'filename="report-{n}.txt"\r\nContent-Type: text/plain\r\n\r\n{_text(n)}\r\n'
        for n in range(FILES)
    )
    body = f"{parts}--{boundary}--\r\n".encode()
    kind = f"multipart/form-data; boundary={boundary}"
    status, answer = server.request("POST", "/api/v1/documents", body, kind)
    assert status == 202, answer
    return [document["id"] for document in answer["documents"]]


def _wait_until_live(server: Server, ids: list[str]) -> None:
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        _, answer = server.request("GET", "/api/v1/documents?limit=100")
        states = {d["id"]: d["state"] for d in answer["documents"]}
        if all(states.get(name) == "live" for name in ids):
            return
        assert "failed" not in states.values(), answer
        time.sleep(0.3)
    pytest.fail(f"not all live: {states}")


def _check_whole(home: Path, models: Path, ids: list[str]) -> None:
    library = Library(Settings(home=home, models=models))
    library.load(llm=False)
    chunks = [row for rows in index_rows(library.catalog) for row in rows]
    found = live_passages(library.catalog, [row.id for row in chunks])
    assert set(found) == {row.id for row in chunks}
    assert {passage.document_id for passage in found.values()} == set(ids)
    texts = Counter((p.document_id, p.start, p.end) for p in found.values())
    assert set(texts.values()) == {1}
    vectors = np.stack([row.vector for row in chunks])
    names = [row.id for row in chunks]
    assert library.indexes.vectors.missing(names, vectors) == []
    for row in chunks:
        assert library.indexes.vectors.query(row.vector, 1)[0][1] > 0.999
    assert sorted(name for batch in library.indexes.vectors.ids() for name in batch) == sorted(
        names
    )
    assert sorted(library.indexes.words.ids()) == sorted(names)
    library.close()


@pytest.mark.parametrize(
    "delay",
    [
        pytest.param(2.5, id="2.5s"),
        *(pytest.param(d, id=f"{d}s", marks=pytest.mark.slow) for d in (0.0, 0.3, 1, 4, 5, 6, 8)),
    ],
)
def test_all_twenty_files_are_live_once_after_a_kill(
    tmp_path: Path, models_path: Path, delay: float
) -> None:
    server = Server(tmp_path, models_path)
    server.wait_until_up()
    ids = _upload_all(server)
    assert len(set(ids)) == FILES
    time.sleep(delay)
    server.kill()
    server = Server(tmp_path, models_path)
    try:
        server.wait_until_up()
        _wait_until_live(server, ids)
        assert _upload_all(server) == ids, "the same bytes give the ids that are there"
    finally:
        server.kill()
    _check_whole(tmp_path, models_path, ids)
