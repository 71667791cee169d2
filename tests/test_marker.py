"""A marker of a removed and of a vanished document is nowhere, with the real server and models.

In body, title and file name; also where the server is killed while it erases.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rag.catalog import Catalog
from rag.catalog.removals import removals
from tests.test_kill import ROOT, Server

MARKER = "xylophonequartz"
UPLOADED = f"# The {MARKER} notes\n\nThe {MARKER} stands in the cellar of house nine."
SYNCED = (
    f"<html><head><title>{MARKER} plan</title></head><body><h1>Plan of the {MARKER}</h1>"
    f"<p>Next week the {MARKER} is moved from the cellar to the attic of house nine.</p>"
    "</body></html>"
)


class House:
    """A data directory, a synced folder, and the server that has both."""

    def __init__(self, place: Path, models: Path) -> None:
        self.home, self.folder, self._models = place / "home", place / "folder", models
        self.folder.mkdir()
        for number in range(6):
            text = f"The key of house {number} hangs at the gate, and the cellar is dry."
            (self.folder / f"{number}.txt").write_text(text)
        self.start()

    def start(self) -> None:
        self.server = Server(self.home, self._models)
        self.server.wait_until_up()

    def sync(self) -> None:
        environment = os.environ | {
            "CLOISTER_HOME": str(self.home),
            "CLOISTER_MODELS": str(self._models),
        }
        command = [sys.executable, "-m", "rag.cli", "ingest", "sync", str(self.folder), "--json"]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)

    def upload(self, name: str, text: str) -> str:
        boundary = uuid.uuid4().hex
        body = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
            f"Content-Type: text/markdown\r\n\r\n{text}\r\n--{boundary}--\r\n"
        ).encode()
        kind = f"multipart/form-data; boundary={boundary}"
        _, answer = self.server.request("POST", "/api/v1/documents", body, kind)
        taken: str = answer["documents"][0]["id"]
        return taken

    def post(self, path: str, body: dict[str, Any]) -> str:
        status, answer = self.server.request(
            "POST", path, json.dumps(body).encode(), "application/json"
        )
        assert status == 200, answer
        return json.dumps(answer)

    def wait_until_live(self, count: int) -> None:
        deadline = time.monotonic() + 600
        states: list[str] = []
        while states != ["live"] * count:
            assert time.monotonic() < deadline, states
            time.sleep(0.2)
            _, answer = self.server.request("GET", "/api/v1/documents?limit=100")
            states = [document["state"] for document in answer["documents"]]

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + 600
        while self.server.request("GET", "/readyz")[0] != 200:
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def is_to_erase(self) -> bool:
        """Whether something that was removed is not erased yet."""
        catalog = Catalog(self.home / "catalog.sqlite")
        since = removals(catalog).since
        catalog.close()
        return since is not None

    def wait_until_erased(self) -> None:
        deadline = time.monotonic() + 600
        while self.is_to_erase():
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def index_folders(self) -> set[tuple[str, str]]:
        """Which index has which folders: (chroma or words, serial)."""
        folders = [*self.home.glob("chroma/*"), *self.home.glob("words/*")]
        return {(path.parent.name, path.name) for path in folders}

    def holding(self) -> list[str]:
        """Where the marker stands: in which files, or in whose names."""
        paths = [path for path in self.home.rglob("*") if path.is_file()]
        return [
            str(path.relative_to(self.home))
            for path in paths
            if MARKER in path.name or MARKER.encode() in path.read_bytes()
        ]


@pytest.fixture
def house(tmp_path: Path, models_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("CLOISTER_ERASE_AFTER_SECONDS", "0")
    house = House(tmp_path, models_path)
    yield house
    house.server.kill()


@pytest.mark.timeout(2400)
@pytest.mark.parametrize(
    "killed_at", [None, *(pytest.param(n, marks=pytest.mark.slow) for n in ("chroma", "words"))]
)
def test_a_marker_is_nowhere(house: House, killed_at: str | None) -> None:
    question = {"question": "What is in the cellar of house nine?"}
    query = {"query": f"{MARKER} in the cellar of house nine", "limit": 20}
    (house.folder / f"{MARKER} plan.html").write_text(SYNCED)
    house.sync()
    uploaded = house.upload(f"{MARKER} notes.md", UPLOADED)
    house.wait_until_live(8)
    assert MARKER in house.post("/api/v1/ask", question)
    assert f"{MARKER} notes.md" in house.post("/api/v1/search", query)
    kinds = {name.split("/")[0].split("-")[0] for name in house.holding()}
    assert {"catalog.sqlite", "originals"} <= kinds, "the test would find it"
    before = house.index_folders()

    assert house.server.request("DELETE", f"/api/v1/documents/{uploaded}")[0] == 204
    if killed_at:
        while not any(name == killed_at for name, _ in house.index_folders() - before):
            time.sleep(0.001)
        house.server.kill()
        assert house.is_to_erase(), "the kill came too late"
        house.start()
        house.wait_until_ready()
    assert f"{MARKER} notes" not in house.post("/api/v1/search", query)
    (house.folder / f"{MARKER} plan.html").unlink()
    house.sync()
    assert MARKER not in house.post("/api/v1/search", {"query": "cellar of house nine"})
    assert MARKER not in house.post("/api/v1/ask", question)
    house.wait_until_erased()
    assert house.holding() == []
    # tantivy packs its words, so that they need not stand there letter by letter
    assert not house.index_folders() & before
    house.wait_until_live(6)
    assert "key of house 3" in house.post("/api/v1/search", {"query": "key of house 3"})
    assert MARKER not in house.post("/api/v1/ask", question)
    house.server.kill()
    assert house.holding() == []
    house.start()
    house.wait_until_live(6)
    assert house.holding() == []
