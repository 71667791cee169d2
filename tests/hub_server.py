"""A model hub on loopback: the requests of huggingface_hub and `rag.models.hub`, with faults."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".safetensors", ".gguf", ".bin", ".model")  # kept by Git LFS


@dataclass
class Repo:
    """A model: its files at one commit. `gated` is whether a token is needed to read them."""

    files: dict[str, bytes]
    commit: str = COMMIT
    licence: str | None = "apache-2.0"
    gated: bool = False
    revisions: tuple[str, ...] = ("main",)


@dataclass
class FakeHub:
    """What is there, what goes wrong, and what was asked."""

    repos: dict[str, Repo] = field(default_factory=dict)
    tokens: tuple[str, ...] = ("hf_good",)
    # each request of the file is cut after so many bytes, as long as there are numbers left
    cuts: dict[str, list[int]] = field(default_factory=dict)
    # what is sent in the place of a file's bytes
    swapped: dict[str, bytes] = field(default_factory=dict)
    # statuses of the next requests of a file
    statuses: dict[str, list[int]] = field(default_factory=dict)
    ranges: bool = True
    # seconds between blocks, so that a test can end the process meanwhile
    pause: float = 0.0
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    address: str = ""

    def gets(self, name: str) -> list[str | None]:
        """The ranges with which a file was asked for."""
        return [
            r for method, path, r in self.asked if method == "GET" and path.endswith("/" + name)
        ]


@contextmanager
def serving(hub: FakeHub) -> Iterator[FakeHub]:
    """The hub on a port of loopback."""

    class Handler(_Handler):
        fake = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    fake: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(False)

    def do_GET(self) -> None:
        self._answer(True)

    def _answer(self, body: bool) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.fake.asked.append((self.command, path, self.headers.get("Range")))
        self.fake.agents.add(self.headers.get("User-Agent", ""))
        if path.startswith("api/models/"):
            self._describe(path.removeprefix("api/models/"))
        else:
            self._send_file(path, body)

    def _describe(self, path: str) -> None:
        name, _, revision = path.partition("/revision/")
        repo = self.fake.repos.get(name)
        if repo is None:
            self._refuse(404 if self._token() else 401, "RepoNotFound")
            return
        if revision not in (*repo.revisions, repo.commit):
            self._refuse(404, "RevisionNotFound")
            return
        card = {"license": repo.licence} if repo.licence else {}
        self._json(
            {
                "id": name,
                "sha": repo.commit,
                "gated": "manual" if repo.gated else False,
                "private": False,
                "tags": [f"license:{repo.licence}"] if repo.licence else [],
                "pipeline_tag": "text-generation",
                "cardData": card,
                "siblings": [_sibling(n, data) for n, data in repo.files.items()],
            }
        )

    def _send_file(self, path: str, body: bool) -> None:
        name, _, rest = path.partition("/resolve/")
        commit, _, file = rest.partition("/")
        repo = self.fake.repos.get(name)
        if repo is None or commit != repo.commit or file not in repo.files:
            self._refuse(404, "EntryNotFound")
            return
        if repo.gated and self._token() not in self.fake.tokens:
            self._refuse(403 if self._token() else 401, "GatedRepo")
            return
        if self.fake.statuses.get(file):
            self._refuse(self.fake.statuses[file].pop(0), "")
            return
        data = self.fake.swapped.get(file, repo.files[file])
        digest = hashlib.sha256(repo.files[file]).hexdigest()
        start = 0
        if self.fake.ranges and (given := self.headers.get("Range")):
            start = int(given.removeprefix("bytes=").rstrip("-"))
        if start >= len(data) and start:
            self._refuse(416, "")
            return
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{digest}"')
        self.send_header("X-Linked-Etag", f'"{digest}"')
        self.send_header("X-Repo-Commit", repo.commit)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if body:
            self._send(file, data[start:])

    def _send(self, file: str, data: bytes) -> None:
        cuts = self.fake.cuts.get(file)
        end = cuts.pop(0) if cuts else len(data)
        block = 1 << 16
        try:
            for at in range(0, min(end, len(data)), block):
                self.wfile.write(data[at : min(at + block, end)])
                if self.fake.pause:
                    self.wfile.flush()
                    threading.Event().wait(self.fake.pause)
        except OSError:  # the client has gone
            self.close_connection = True
            return
        if end < len(data):
            self.wfile.flush()
            self.close_connection = True

    def _token(self) -> str | None:
        given = self.headers.get("Authorization")
        return given.removeprefix("Bearer ") if given else None

    def _json(self, value: Mapping[str, Any]) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _sibling(name: str, data: bytes) -> dict[str, Any]:
    git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    found: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": git}
    if name.endswith(LARGE):
        found["lfs"] = {
            "sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130,
        }  # fmt: skip
    return found
