"""The models by REST and on their pages."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from rag.models.catalogue import catalogue
from rag.models.licences import PERMISSIONS
from tests.web.fakes import HOSTILE, FakeLibrary


@pytest.fixture
def here(library: FakeLibrary) -> Path:
    """A models folder with one of the catalogue."""
    folder = library.settings.models_path / "Qwen--Qwen3-0.6B"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def text_of(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_rest_lists_both(client: FlaskClient, here: Path) -> None:
    found = client.get("/api/v1/models").get_json()
    assert [row["name"] for row in found["models"]] == ["Qwen/Qwen3-0.6B"]
    assert len(found["catalogue"]) == len(catalogue())
    assert [row["id"] for row in found["catalogue"] if row["here"]] == ["Qwen/Qwen3-0.6B"]
    assert found["machine"]["kind"] in ("ram", "gpu")


def test_rest_filters(client: FlaskClient, here: Path) -> None:
    query = "commercial=true&language=pl&family=qwen3&task=llm"
    found = client.get(f"/api/v1/models?{query}").get_json()
    assert {row["family"] for row in found["catalogue"]} == {"Qwen3"}
    only = client.get("/api/v1/models?here=true").get_json()["catalogue"]
    assert [row["id"] for row in only] == ["Qwen/Qwen3-0.6B"]


@pytest.mark.parametrize("query", ["task=driver", "commercial=maybe", "colour=red"])
def test_rest_refuses_what_it_does_not_know(client: FlaskClient, query: str) -> None:
    assert client.get(f"/api/v1/models?{query}").status_code == 400


def test_the_page_shows_all_and_is_reached_from_the_others(client: FlaskClient, here: Path) -> None:
    page = client.get("/models").text
    for model in catalogue():
        assert f'href="/models/{model.id}"' in page
    assert "This is not legal advice." in text_of(page)
    assert '<a href="/models"' in client.get("/library").text
    assert re.search(r'<a href="/models" aria-current="page">', page)


def test_the_form_chooses_and_shows_what_was_chosen(client: FlaskClient, here: Path) -> None:
    page = client.get("/models?commercial=1&language=pl&family=Qwen3&task=llm").text
    assert "/models/Qwen/Qwen3-8B" in page
    assert "/models/huggyllama/llama-7b" not in page
    assert re.search(r'name="commercial" value="1" checked', page)
    assert re.search(r'<option value="pl" selected>Polish', page)
    assert re.search(r'<option value="Qwen3" selected>', page)
    assert not re.search(r'name="fits" value="1" checked', page)


def test_nothing_found_is_said(client: FlaskClient) -> None:
    page = client.get("/models?family=none&task=other").text
    assert "No model is as you asked." in page


def test_a_damaged_record_is_told(client: FlaskClient, here: Path) -> None:
    (here / "cloister-model.json").write_text("{")
    assert "is damaged" in text_of(client.get("/models").text)


def test_the_page_of_a_model_says_all_of_it(client: FlaskClient) -> None:
    text = text_of(client.get("/models/meta-llama/Llama-2-70b-chat-hf").text)
    for words in (
        "Llama 2 Community License Agreement",
        "with conditions Not for whoever had more than 700 million users",
        "Apache License 2.0",
        "This is not legal advice.",
        "training data closed",
        "bfloat16 138 GB",
        "models/llama2/MODEL_CARD.md",
        "chat template llama2",
        "Named in 2026-11. Not every one was read: check the licence with its own text",
        *PERMISSIONS.values(),
    ):
        assert words in text


def test_every_model_has_a_page_without_anything_inline(client: FlaskClient) -> None:
    for model in catalogue():
        reply = client.get(f"/models/{model.id}")
        assert reply.status_code == 200, model.id
        assert not re.search(r"<style|<script|\sstyle=|\son\w+=", reply.text), model.id


def test_an_unknown_model_names_the_nearest(client: FlaskClient) -> None:
    reply = client.get("/models/qwen3-8", headers={"Accept": "text/html"})
    assert reply.status_code == 404
    assert "Qwen/Qwen3-8B" in reply.text


def test_names_from_a_folder_are_text(client: FlaskClient, library: FakeLibrary) -> None:
    name = HOSTILE.replace("/", "")[:100]
    folder = library.settings.models_path / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    page = client.get("/models").text
    assert "<img" not in page
    assert html.escape(name[:30], quote=False) in page


def test_a_precision_that_does_not_load_is_not_said_to_be_too_large(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.models.footprint.loads", lambda name, *_: name != "int4")
    page = text_of(client.get("/models/HuggingFaceTB/SmolLM2-135M-Instruct").text)
    assert re.search(r"int4 \d+ MB does not load here", page)
    assert re.search(r"int8 \d+ MB fits", page)
    assert "too large" not in page
