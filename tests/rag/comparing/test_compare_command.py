"""`cloister models compare` by itself: what it writes, and what it says."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rag.cli import main
from rag.comparing import holding
from rag.lock import take_library_lock
from rag.testing import fake_settings
from tests.rag.comparing.scripted import DECLINING, FACTS, GOOD, Loader, make_library


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what takes seconds, and is tested where it is made."""
    monkeypatch.setattr("rag.evaluation.intervals._ROUNDS", 50)
    monkeypatch.setattr("rag.models.room.give_back", lambda: None)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    make_library(home).close()
    return home


@pytest.fixture
def home(tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    shutil.copytree(made, home)
    settings = fake_settings(home)
    monkeypatch.setattr("rag.settings.load_settings", lambda *_: settings)
    real, loader = holding.alone, Loader({"one": GOOD, "two": DECLINING})
    monkeypatch.setattr(holding, "alone", lambda: real(loader))
    rows = [{"question": q, "answers": [hour]} for q, (_, hour) in FACTS.items()]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return home


def run(home: Path, *words: str) -> Any:
    questions = str(home.parent / "q.jsonl")
    return CliRunner().invoke(main, ["models", "compare", *words, "--questions", questions])


def test_one_line_of_json_and_a_page(home: Path) -> None:
    page = home.parent / "page.html"
    done = run(home, "one", "two", "absent", "--json", "--report", str(page), "--per-hour", "2")
    assert done.exit_code == 1, done.output  # one could not be compared
    (line,) = done.stdout.splitlines()
    found: Mapping[str, Any] = json.loads(line)
    assert found["report"] == str(page)
    assert [one["name"] for one in found["models"]] == ["one", "two"]
    assert [one["name"] for one in found["skipped"]] == ["absent"]
    assert all(one["cost"] > 0 for one in found["models"])
    assert "Not compared: absent. There is no model" in done.stderr
    assert "one: loading" in done.stderr
    text = page.read_text("utf-8")
    assert "one handled the most questions rightly, 100.0 %: beyond chance more than two" in text
    assert "When does the ferry Auk leave?" in text

    told = run(home, "one", "two", "absent", "--limit", "12")
    assert "Handled rightly" in told.stdout
    assert "loading" not in told.stderr  # the answers are there


def test_what_cannot_be_is_refused_before_anything_is_loaded(home: Path) -> None:
    assert run(home, "one").exit_code == 2
    assert run(home, "one", "absent").exit_code == 2
    assert run(home, "one", "two", "--report", "/nowhere/x.html").exit_code == 2
    assert run(home, "one", "two", "--split", "dev").exit_code == 2
    with take_library_lock(fake_settings(home), "cloister ingest sync"):
        busy = run(home, "one", "two")
    assert busy.exit_code == 75
    assert not (home / "comparisons").exists()


class Server:
    """A running server that is at each of these states in turn, and then at the last one."""

    def __init__(self, *states: dict[str, Any], result: Any = None) -> None:
        self.states, self.result = list(states), result
        self.body: Mapping[str, Any] = {}
        self.stopped = 0

    def begin_comparison(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        self.body = body
        return {"id": "cmp_1"}

    def comparison(self, name: str) -> Mapping[str, Any]:
        assert name == "cmp_1"
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        done = state["state"] == "done"
        return {"progress": state, "result": self.result if done else None}

    def stop_comparison(self, name: str) -> None:
        self.stopped += 1


def state(state: str, **more: Any) -> dict[str, Any]:
    at = {"stage": "answering", "model": "one", "done": 1, "total": 4, "seconds_left": 60.0}
    return {"state": state, "problem": "", **at, **more}


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Any:
    def use(server: Server) -> Server:
        monkeypatch.setattr("rag.session.open_server", lambda _: server)
        # the package's name for it is the command
        module = sys.modules["rag.commands.models.compare"]
        monkeypatch.setattr(module, "_LOOK_SECONDS", 0.01)
        return server

    return use


def test_a_running_server_does_the_work(home: Path, serve: Any) -> None:
    alone = json.loads(run(home, "one", "none", "--json", "--limit", "2").stdout)
    del alone["report"]
    server = serve(Server(state("running"), state("done"), result=alone))
    done = run(home, "one", "none", "--limit", "2", "--json", "--again")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["models"] == alone["models"]
    assert "one: 1 of 4 answers, about 60 s left" in done.stderr
    assert (server.body["models"], server.body["again"]) == (["one", "none"], True)
    assert [one["question"] for one in server.body["questions"]] == [*FACTS][::6]


def test_what_the_server_says_of_a_failure_or_a_stop_is_told(home: Path, serve: Any) -> None:
    serve(Server(state("failed", problem="The disk is full.")))
    failed = run(home, "one", "none")
    assert failed.exit_code == 1
    assert "The disk is full." in failed.stderr
    server = serve(Server(state("running"), state("stopped")))
    # what came out before is not what was asked for now
    server.comparison = lambda _: {"progress": state("stopped"), "result": {"models": []}}
    stopped = run(home, "one", "none")
    assert stopped.exit_code == 130
    assert "Give the same command to go on." in stopped.stderr


def test_ctrl_c_stops_the_servers_work(home: Path, serve: Any) -> None:
    server = serve(Server(state("running"), state("running"), state("stopping"), state("stopped")))
    look = server.comparison

    def interrupted(name: str) -> Mapping[str, Any]:
        if not server.stopped:
            signal.raise_signal(signal.SIGINT)
        return look(name)

    server.comparison = interrupted
    assert run(home, "one", "none").exit_code == 130
    assert server.stopped == 1
