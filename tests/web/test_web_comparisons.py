"""Comparisons of models by REST and from the models page."""

from __future__ import annotations

import html
import io
import re
import shutil
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from rag.comparing import holding
from rag.comparing.run import Stopped
from rag.library import Library
from rag.testing import fake_library
from tests.rag.comparing.scripted import DECLINING, FACTS, GOOD, HOURS, Loader, make_library
from web.app import create_app
from web.served import served_by

TABLE = "question;answer\n" + "".join(
    f"{question};{hour}\n" for question, hour in zip(FACTS, HOURS.values(), strict=True)
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what takes seconds, and is tested where it is made."""
    monkeypatch.setattr("rag.evaluation.intervals._ROUNDS", 50)
    monkeypatch.setattr("rag.models.room.give_back", lambda: None)


@pytest.fixture
def loader(monkeypatch: pytest.MonkeyPatch) -> Loader:
    real, loader = holding.beside, Loader({"one": GOOD, "two": DECLINING})
    monkeypatch.setattr(holding, "beside", lambda library: real(library, loader))
    return loader


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    home = tmp_path_factory.mktemp("library")
    make_library(home).close()
    library = fake_library(home, llm_model="none", llm_check_fit=False)
    yield library
    library.close()


@pytest.fixture
def app(library: Library, loader: Loader) -> Iterator[Flask]:
    app = create_app(library)
    yield app
    served_by(app).comparisons.close(30)
    shutil.rmtree(library.settings.home / "comparisons", ignore_errors=True)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def lines(most: int = 12) -> list[dict[str, Any]]:
    rows = [{"question": q, "answers": [hour]} for q, (_, hour) in FACTS.items()]
    return rows[:most]


def begin(client: FlaskClient, *models: str, **more: Any) -> Any:
    return client.post("/api/v1/comparisons", json={"models": models, "questions": lines(), **more})


def form(*models: str, text: str = TABLE, name: str = "ferries.csv") -> dict[str, Any]:
    return {"models": list(models), "questions": (io.BytesIO(text.encode()), name)}


def text_of(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_by_rest_from_beginning_to_end(app: Flask, client: FlaskClient, library: Library) -> None:
    begun = begin(client, "one", "two", name="C:\\mine\\ferries.jsonl")
    assert begun.status_code == 202, begun.text
    progress = begun.get_json()
    assert (progress["models"], progress["questions"]) == (["one", "two"], 12)
    assert progress["name"] == "ferries.jsonl"
    address = f"/api/v1/comparisons/{progress['id']}"
    assert served_by(app).comparisons.wait(120)
    found = client.get(address).get_json()
    assert (found["progress"]["state"], found["progress"]["done"]) == ("done", 24)
    told = {one["measure"]: one["told"] for one in found["result"]["differences"]}
    assert told["right"] == "worse"
    (listed,) = client.get("/api/v1/comparisons").get_json()["comparisons"]
    assert listed == found["progress"]

    page = client.get(f"/models/comparisons/{progress['id']}")
    assert "one handled the most questions rightly, 100.0 %" in text_of(page.text)
    assert not re.search(r"<style|<script(?! type=\"module\" src)|\sstyle=", page.text)
    assert 'http-equiv="refresh"' not in page.text
    saved = client.get(f"/models/comparisons/{progress['id']}/report.html")
    assert saved.headers["Content-Disposition"].startswith("attachment; filename=")
    assert "<style>" in saved.text
    assert "one, two" in text_of(client.get("/models").text)

    # no document's text is in what is kept, and it goes for good
    folder = library.settings.home / "comparisons"
    kept = "".join(path.read_text() for path in folder.rglob("*.json*"))
    assert "leaves at" not in kept + page.text + saved.text
    assert client.delete(address).status_code == 204
    assert list(folder.iterdir()) == []
    assert client.get(address).status_code == 404
    assert client.get("/api/v1/comparisons").get_json() == {"comparisons": []}


@pytest.mark.parametrize("name", ["ferries.csv", "ferries.tsv", "ferries"])
def test_questions_as_json_may_come_from_a_table(
    name: str, app: Flask, client: FlaskClient
) -> None:
    begun = begin(client, "one", "none", name=name, questions=lines(1))
    assert begun.status_code == 202, begun.text
    assert begun.get_json()["name"] == name
    assert served_by(app).comparisons.wait(60)


def test_by_the_form_with_a_table_and_stopped(
    app: Flask, client: FlaskClient, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = threading.Event(), threading.Event()
    real = library.answerer.answer_again
    count = 0

    def slow(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count == 3:
            reached.set()
            assert go_on.wait(60)
        return real(*arguments)

    monkeypatch.setattr(library.answerer, "answer_again", slow)
    sent = client.post("/models/comparisons", data=form("one", "none"))
    assert sent.status_code == 303, sent.text
    address = sent.headers["Location"]
    assert reached.wait(60)
    page = client.get(address)
    assert '<meta http-equiv="refresh" content="5">' in page.text
    assert "one answers: 2 of 24 answers" in text_of(page.text)
    assert "12 questions of ferries.csv" in text_of(page.text)
    assert client.get(f"{address}/report.html").status_code == 404

    same = client.post("/models/comparisons", data=form("one", "none"))
    assert same.headers["Location"] == address  # nothing begins twice
    busy = begin(client, "two", "none")
    assert busy.status_code == 503
    assert "compared already" in busy.get_json()["detail"]
    assert client.delete(f"/api/v1/{address.split('/', 2)[2]}").status_code == 202
    assert "Stopping" in text_of(client.get(address).text)
    go_on.set()
    assert served_by(app).comparisons.wait(60)
    stopped = text_of(client.get(address).text)
    assert "It was stopped after 2 of 24 answers." in stopped
    assert "stopped, 2 of 24" in text_of(client.get("/models").text)

    again = client.post("/models/comparisons", data=form("one", "none"))
    assert again.headers["Location"] == address
    assert served_by(app).comparisons.wait(120)
    assert "Side by side" in client.get(address).text
    assert client.post(f"{address}/delete").headers["Location"] == "/models#comparisons"
    assert client.get(address).status_code == 404


def test_what_came_out_stays_where_it_is_begun_once_more_in_vain(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = served_by(app).comparisons

    def ask(**more: Any) -> Any:
        begun = begin(client, "one", "none", questions=lines(1), **more)
        assert here.wait(60)
        return client.get(f"/api/v1/comparisons/{begun.get_json()['id']}").get_json()

    first = ask()
    assert first["progress"]["state"] == "done"
    with monkeypatch.context() as patch:
        patch.setattr(holding, "beside", lambda _: 1 / 0)
        failed = ask()
        assert (failed["progress"]["state"], failed["result"]) == ("failed", first["result"])
        page = text_of(client.get(f"/models/comparisons/{first['result']['id']}").text)
        assert "failed when it was begun once more" in page
        assert "Side by side" in page

        def stopped(*_: Any) -> Any:
            raise Stopped

        patch.setattr("rag.comparing.job.run", stopped)
        patch.setattr(holding, "beside", lambda _: None)
        found = ask()
        assert (found["progress"]["state"], found["result"]) == ("stopped", first["result"])
        assert ask(again=True)["result"] is None
    once_more = ask()
    assert (once_more["progress"]["state"], once_more["result"]["questions"]) == ("done", 1)


def test_what_is_wrong_is_refused(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = ("one", "two")
    cases: list[tuple[tuple[str, ...], dict[str, Any], int, str]] = [
        (("one",), {}, 400, "2 to"),
        (("one", "absent"), {}, 400, "no model “absent”"),
        (pair, {"collections": ["absent"]}, 404, "no collection"),
        (pair, {"questions": []}, 400, "no questions"),
        (pair, {"questions": [{"question": ""}]}, 400, "line 1"),
        (pair, {"questions": [{"question": "a"}] * 2}, 400, "is there already"),
        (pair, {"colour": "red"}, 400, "not a field"),
    ]
    for models, more, status, told in cases:
        refused = begin(client, *models, **more)
        assert refused.status_code == status, told
        assert told in refused.get_json()["detail"]
    monkeypatch.setattr("rag.comparing.service.MOST_QUESTIONS", 11)
    assert begin(client, *pair).status_code == 413
    assert client.get("/api/v1/comparisons").get_json() == {"comparisons": []}


def test_a_model_that_does_not_fit_beside_the_one_in_use_does_not_begin(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.models.room.needed_bytes", lambda *_: 10**13)
    refused = begin(client, "one", "none")
    assert refused.status_code == 503
    assert "one needs about 10000.0 GB and does not fit beside" in refused.get_json()["detail"]
    page = client.post("/models/comparisons", data=form("one", "none"))
    assert page.status_code == 503
    assert "does not fit beside" in text_of(page.text)
    assert re.search(r'value="one" checked', page.text)


def test_the_form_refuses_with_a_reason(client: FlaskClient) -> None:
    missing = client.post("/models/comparisons", data={"models": ["one", "two"]},
                          content_type="multipart/form-data")  # fmt: skip
    assert missing.status_code == 400
    assert "no file of questions" in text_of(missing.text)
    wrong = client.post("/models/comparisons", data=form("one", "two", text="no table"))
    assert "must name its columns" in text_of(wrong.text)
    binary = form("one", "two")
    binary["questions"] = (io.BytesIO(b"\xff\xfe\x00"), "q.jsonl")
    assert "not text in UTF-8" in text_of(client.post("/models/comparisons", data=binary).text)


def test_a_failure_is_told_and_the_next_one_begins(
    app: Flask, client: FlaskClient, loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "beside", lambda _: 1 / 0)
    hostile = "<script>alert(1)<script>.jsonl"
    name = begin(client, "one", "two", name=hostile).get_json()["id"]
    assert served_by(app).comparisons.wait(60)
    found = client.get(f"/api/v1/comparisons/{name}").get_json()
    assert (found["progress"]["state"], found["result"]) == ("failed", None)
    assert "see logs/server.log" in found["progress"]["problem"]
    page = client.get(f"/models/comparisons/{name}").text
    assert "The comparison failed" in page
    for text in (page, client.get("/models").text):
        assert "alert(1)" in text
        assert "<script>alert" not in text
