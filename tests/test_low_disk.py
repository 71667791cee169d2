"""A disk with too little room for new documents: removed ones leave it, nobody waits in silence."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ingest import patience
from ingest import worker as worker_module
from ingest.sync import register
from ingest.worker import Worker
from rag.catalog.documents import get_document, list_documents, remove
from rag.catalog.folders import folder_key
from rag.catalog.jobs import Job, ask_for, current_job
from rag.catalog.removals import removals
from rag.cli import main
from rag.errors import StorageError
from rag.library import Library
from rag.lock import announce, take_library_lock
from rag.testing import fake_library
from tests.ingest.in_process import without_children
from tests.ingest.reading import add_text, read_all
from web.app import create_app
from web.served import Identity, served_by

LOW = 10**18
ENVIRONMENT = {
    "CLOISTER_EMBEDDER_MODEL": "rag.testing:FakeEmbedding",
    "CLOISTER_READER_MODEL": "",
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    without_children(monkeypatch)
    monkeypatch.setattr(worker_module, "RETRY_SECONDS", 0.1)
    monkeypatch.setattr(patience, "LOOK_SECONDS", 0.5)
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 2.0)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A closed library: one text is read, another waits since the disk ran low."""
    library = fake_library(tmp_path / "home")
    add_text(library, "old.txt", "About zebras.")
    read_all(library)
    add_text(library, "new.txt", "About giraffes.")
    library.close()
    return tmp_path / "home"


@pytest.fixture
def library(home: Path) -> Iterator[Library]:
    """That library, open while the disk is low; what is removed is due to be erased at once."""
    library = fake_library(home, ingest_free_bytes=LOW, erase_after_seconds=0.0)
    yield library
    library.close()


@pytest.fixture
def worker(library: Library) -> Iterator[Worker]:
    worker = Worker(library)
    worker.start()
    yield worker
    worker.stop()


@contextmanager
def _served(library: Library) -> Iterator[None]:
    """The library served to the commands of this machine."""
    app = create_app(library)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # the proof and the question come on one connection

        def do_GET(self) -> None:
            reply = app.test_client().get(self.path)
            self.send_response(reply.status_code)
            self.send_header("Content-Length", str(len(reply.data)))
            self.end_headers()
            self.wfile.write(reply.data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    address = f"http://127.0.0.1:{server.server_port}"
    with take_library_lock(library.settings, "cloister serve") as token:
        served_by(app).identity = Identity(address, token)
        announce(library.settings, address)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield
        server.shutdown()
        thread.join()
        server.server_close()


def _id(library: Library, source: str) -> str:
    return next(d.id for d in list_documents(library.catalog) if d.source == source)


def _originals(home: Path) -> int:
    return sum(path.is_file() for path in (home / "originals").rglob("*"))


def _until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _run(home: Path, *arguments: str, free: int = 0) -> Result:
    environment = ENVIRONMENT | {"CLOISTER_INGEST_FREE_BYTES": str(free)}
    return CliRunner(env=environment).invoke(main, ["--home", str(home), "ingest", *arguments])


def test_the_server_s_worker_frees_what_was_removed(library: Library, worker: Worker) -> None:
    home = library.settings.home
    assert _originals(home) == 2
    remove(library.catalog, _id(library, "old.txt"))
    worker.wake()
    _until(lambda: _originals(home) == 1)
    _until(lambda: removals(library.catalog).since is None)
    assert library.search("zebras") == []
    assert get_document(library.catalog, _id(library, "new.txt")).state == "pending"


def test_a_command_frees_what_was_removed_and_then_raises(library: Library) -> None:
    remove(library.catalog, _id(library, "old.txt"))
    with pytest.raises(StorageError, match="must stay free"):
        read_all(library)
    assert _originals(library.settings.home) == 1
    assert removals(library.catalog).since is None
    assert library.search("zebras") == []


def test_with_an_empty_queue_nothing_needs_room(library: Library) -> None:
    for source in ("old.txt", "new.txt"):
        remove(library.catalog, _id(library, source))
    read_all(library)
    assert _originals(library.settings.home) == 0


@pytest.mark.parametrize("kind", ["check", "erase"])
def test_a_job_is_done(library: Library, worker: Worker, kind: str) -> None:
    job = ask_for(library.catalog, kind, {})

    def state() -> str:
        now = current_job(library.catalog)
        assert now is not None
        assert now.id == job.id
        return now.state

    _until(lambda: state() == "done")


def test_a_job_done_by_a_command_is_told_although_the_queue_waits(library: Library) -> None:
    steps: list[int] = []
    told = Worker(library).do(Job("", "check", {}), lambda done, total: steps.append(done))
    assert told["found"]["faults"] == []
    assert told["found"]["notes"] == ["1 documents wait to be read"]


def test_a_sync_frees_what_vanished_although_nothing_new_has_room(tmp_path: Path) -> None:
    folder, home = tmp_path / "folder", tmp_path / "home"
    folder.mkdir()
    for name in ("old.txt", "kept.txt"):
        (folder / name).write_text(f"About zebras in {name}.")
    assert _run(home, "sync", str(folder)).exit_code == 0
    assert _originals(home) == 2
    (folder / "old.txt").unlink()
    (folder / "new.txt").write_text("About giraffes.")
    done = _run(home, "sync", str(folder), free=LOW)
    assert done.exit_code == 1
    assert "must stay free" in done.stderr
    assert _originals(home) == 1
    assert '"new":1,' in _run(home, "sync", str(folder), "--json").stdout.replace(" ", "")


def test_remove_says_what_happened_and_what_waits(home: Path) -> None:
    library = fake_library(home)
    name = _id(library, "old.txt")
    library.close()
    done = _run(home, "remove", name, "doc_unknown", free=LOW)
    assert done.exit_code == 1, "the other is not there"
    assert done.stdout == "removed 1\n"
    assert "They answer no question any more. What else there was to do waits:" in done.stderr
    assert "must stay free (ingest.free_bytes)" in done.stderr
    assert _originals(home) == 1


def test_remove_says_it_to_programs(home: Path) -> None:
    library = fake_library(home)
    name = _id(library, "old.txt")
    library.close()
    done = _run(home, "remove", name, "--json", free=LOW)
    told = json.loads(done.stdout)
    assert (done.exit_code, told["removed"], told["failures"]) == (0, [name], [])
    assert "must stay free" in told["later"]


def test_remove_with_nothing_to_read_is_whole(library: Library, home: Path) -> None:
    remove(library.catalog, _id(library, "new.txt"))
    name = _id(library, "old.txt")
    library.close()
    done = _run(home, "remove", name, "--json", free=LOW)
    assert json.loads(done.stdout) == {"removed": [name], "failures": []}
    assert _originals(home) == 0


def test_readyz_tells_while_questions_are_answered(library: Library, worker: Worker) -> None:
    _until(lambda: "must stay free" in library.readiness().get("ingest", ""))
    client = create_app(library).test_client()
    reply = client.get("/readyz")
    told: dict[str, Any] = reply.get_json()
    assert (reply.status_code, told["ready"]) == (200, True)
    assert "must stay free" in told["parts"]["ingest"]
    assert told["reason"].startswith("Questions are answered, but no documents can be read: Only ")
    page = client.get("/", headers={"Accept": "text/html"}).text
    assert "Questions are answered, but no documents can be read: Only " in page


def test_readyz_tells_no_more_once_there_is_room(
    library: Library, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    _until(lambda: "must stay free" in library.readiness().get("ingest", ""))
    monkeypatch.setattr("ingest.pipeline.check_free_space", lambda _: None)
    _until(lambda: library.readiness()["ingest"] == "ready")
    _until(lambda: get_document(library.catalog, _id(library, "new.txt")).state == "live")


def _registered(library: Library, folder: Path) -> None:
    folder.mkdir()
    (folder / "a.txt").write_text("About elephants.")
    key = folder_key(library.catalog, str(folder), "default")
    register(library.settings, library.catalog, folder, key, "default")


@pytest.mark.parametrize("command", ["sync", "rebuild"])
def test_a_command_that_waits_for_the_server_says_why_and_ends(
    home: Path, tmp_path: Path, command: str
) -> None:
    library = fake_library(home)
    _registered(library, tmp_path / "folder")
    library.close()
    library = fake_library(home, ingest_free_bytes=LOW)
    worker = Worker(library)
    worker.start()
    with _served(library):
        arguments = (
            [command, str(tmp_path / "folder"), "--wait"] if command == "sync" else [command]
        )
        done = _run(home, *arguments)
    worker.stop()
    library.close()
    assert done.exit_code == StorageError.exit_code
    assert done.stderr.count("waiting for the server: Only ") == 1
    assert "The server does not get on, and tries again later: Only " in done.stderr


def test_a_check_is_done_by_a_server_on_a_low_disk(library: Library, worker: Worker) -> None:
    with _served(library):
        done = _run(library.settings.home, "check", "--json")
    assert (done.exit_code, json.loads(done.stdout)["sound"]) == (0, True)


def test_a_job_that_no_server_can_do_is_not_waited_for(library: Library) -> None:
    library.tell("embedder", "The model y is missing.")  # then no worker is started
    with _served(library):
        done = _run(library.settings.home, "check")
    assert done.exit_code == 1
    assert "The model y is missing." in done.stderr
    assert current_job(library.catalog) is None


def test_what_gets_on_is_waited_for(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "POLL_SECONDS", 0.2)
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 0.5)
    library.tell("ingest", "It is tried again.")
    with _served(library):
        wait = patience.Patience(library.settings)
        for left in range(12, 0, -1):
            wait.wait(left)
