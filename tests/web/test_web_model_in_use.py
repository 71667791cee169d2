"""The LLM changed and answers made again through a running server."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient

from rag.cli import main
from rag.commands.replay import replay as replay_command
from rag.library import Library
from rag.lock import take_library_lock
from rag.records import Question
from rag.session import open_server
from rag.settings import Settings
from rag.testing import FakeLLM, fake_library, fake_settings
from tests.ingest.reading import add_text, read_all
from tests.rag.tuning.tiny import make_model
from web.app import create_app

ASKED = "How many unused days of leave may be carried over?"
FAKE = "rag.testing:FakeLLM"


SERVE = """
import pathlib, sys, torch
import web.serve
from rag.testing import fake_settings
torch.set_num_threads(1)
home = pathlib.Path(sys.argv[1])
web.serve.serve(fake_settings(home, server_port=0, llm_max_new_tokens=12))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "org--tiny")


@pytest.fixture
def library(tmp_path: Path, made: Path) -> Iterator[Library]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    FakeLLM.replies, FakeLLM.pause = [], 0.0
    shutil.copytree(made, tmp_path / "models" / "org--tiny")
    library = fake_library(tmp_path, llm_max_new_tokens=12)
    add_text(library, "handbook.txt", "Up to five unused days of leave may be carried over.")
    read_all(library)
    yield library
    library.close()
    torch.set_num_threads(before)


@pytest.fixture
def app(library: Library) -> Flask:
    return create_app(library)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def activate(client: FlaskClient, model: str, **body: Any) -> Any:
    return client.post(f"/api/v1/models/{model}/activate", json=body)


def test_a_change_is_begun_and_followed(client: FlaskClient, library: Library) -> None:
    before = client.get("/api/v1/models/active").get_json()
    assert before["active"]["id"] == FAKE
    assert (before["changing"], before["last"]) == (None, None)
    begun = activate(client, "org/tiny")
    assert begun.status_code == 202
    changing = begun.get_json()["changing"]
    assert changing is None or changing["model"] == "org/tiny"
    assert library.model_change.wait(60)
    after = client.get("/api/v1/models/active").get_json()
    assert after["active"]["id"] == "org/tiny"
    assert after["last"]["ok"]
    asked = client.post("/api/v1/ask", json={"question": ASKED}).get_json()
    assert asked["model"] == after["active"]
    again = client.post(f"/api/v1/answers/{asked['id']}/replay", json={})
    assert again.status_code == 200
    assert (again.get_json()["same"], again.get_json()["differences"]) == (True, [])


@pytest.mark.parametrize(
    ("model", "status"), [("absent", 404), ("..%2Ftiny", 404), (FAKE, 404), ("etc/passwd", 404)]
)
def test_what_is_not_in_the_models_folder_is_not_found(
    model: str, status: int, client: FlaskClient
) -> None:
    refused = activate(client, model)
    assert refused.status_code == status
    assert refused.mimetype == "application/problem+json"


def test_a_second_change_is_refused(
    client: FlaskClient, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr("rag.model_change.load_generator", lambda _: go_on.wait(30) and None)
    assert activate(client, "org/tiny").status_code == 202
    refused = activate(client, "org/tiny", adapter="")
    assert refused.status_code == 503
    assert "being changed to org/tiny already" in refused.get_json()["detail"]
    assert client.get("/api/v1/models/active").get_json()["changing"]["model"] == "org/tiny"
    go_on.set()
    assert library.model_change.wait(30)


def test_another_site_cannot_change_the_model(client: FlaskClient) -> None:
    foreign = {"Origin": "https://evil.example"}
    refused = client.post("/api/v1/models/org/tiny/activate", json={}, headers=foreign)
    assert refused.status_code == 403
    refused = client.post("/api/v1/answers/ans_0/replay", json={}, headers=foreign)
    assert refused.status_code == 403


def test_an_answer_that_is_not_there(client: FlaskClient) -> None:
    assert client.post("/api/v1/answers/ans_0/replay", json={}).status_code == 404


@pytest.mark.slow
class TestThroughTheServer:
    """The commands ask a real server in a process of its own."""

    @pytest.fixture
    def home(self, library: Library, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        home = library.settings.home
        library.close()
        settings = fake_settings(home)
        monkeypatch.setattr("rag.settings.load_settings", lambda *_: settings)
        monkeypatch.setitem(main.commands, "replay", replay_command)
        process = subprocess.Popen([sys.executable, "-c", SERVE, str(home)], stderr=subprocess.PIPE)
        deadline = time.monotonic() + 120  # on a busy machine
        while not self.ready(settings):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield home
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)

    def ready(self, settings: Settings) -> bool:
        if not (settings.home / "run" / "server.json").exists():
            return False
        server = open_server(settings)
        return server is not None and server.model_state()["active"] is not None

    def run(self, *words: str) -> Any:
        return CliRunner().invoke(main, list(words))

    def test_use_replay_and_remove(self, home: Path) -> None:
        models = home / "models"
        for name in ("other", "broken"):
            shutil.copytree(models / "org--tiny", models / name)
        (models / "broken" / "tokenizer.json").write_text("{}")
        done = self.run("models", "use", "org/tiny", "--json")
        assert done.exit_code == 0, done.stderr
        (line,) = done.stdout.splitlines()
        assert json.loads(line)["active"]["id"] == "org/tiny"
        assert tomllib.loads((home / "cloister.toml").read_text())["llm"] == {"model": "org/tiny"}
        assert self.run("models", "use").stdout.startswith("org/tiny (revision ")

        server = open_server(fake_settings(home))
        assert server is not None
        answer = dict(server.ask(Question(ASKED)))["done"]
        assert answer["model"]["id"] == "org/tiny"
        again = self.run("replay", answer["id"])
        assert (again.exit_code, again.stdout) == (0, "The same text.\n")

        refused = self.run("models", "remove", "org/tiny")
        assert refused.exit_code == 75
        assert "in use by the running server, as its LLM" in refused.stderr
        assert (models / "org--tiny").is_dir()
        assert self.run("models", "remove", "other").exit_code == 0
        assert not (models / "other").exists()

        failed = self.run("models", "use", "broken", "--json")
        assert failed.exit_code == 1
        error = json.loads(failed.stdout)["error"]
        assert error["code"] == "model-error"
        assert "The LLM was not changed" in error["message"]
        assert "org/tiny goes on answering" in error["message"]
        assert tomllib.loads((home / "cloister.toml").read_text())["llm"] == {"model": "org/tiny"}
        assert "The last change, to broken, failed:" in self.run("models", "use").stdout
        assert self.run("models", "use", "absent").exit_code == 2
        assert self.run("models", "use", "none").stdout == "No LLM answers from now on.\n"
        assert server.model_state()["active"]["id"] == "none"


def test_without_a_server_use_checks_and_writes(
    tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(made, tmp_path / "models" / "org--tiny")
    settings = fake_settings(tmp_path)
    monkeypatch.setattr("rag.settings.load_settings", lambda *_: settings)
    done = CliRunner().invoke(main, ["models", "use", "org/tiny"])
    assert done.exit_code == 0, done.stderr
    assert "org/tiny (revision " in done.stdout
    assert "asking it a first question" in done.stderr
    assert tomllib.loads((tmp_path / "cloister.toml").read_text())["llm"]["model"] == "org/tiny"
    with take_library_lock(settings, "cloister ingest sync"):
        busy = CliRunner().invoke(main, ["models", "use", "org/tiny"])
    assert busy.exit_code == 75
    assert "cloister ingest sync" in busy.stderr
