"""A model for a question: over REST, and the choice on the ask page with and without JavaScript."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from rag.catalog.collections import change_model
from tests.web.fakes import FakeLibrary, add_models

QUESTION = "How many days?"


@pytest.fixture
def models(library: FakeLibrary) -> FakeLibrary:
    """Two models in the models folder, of which one is in use."""
    add_models(library)
    return library


def options(html: str) -> list[tuple[str, str, bool]]:
    """Value, label and whether it is disabled, of the models on the page."""
    found = re.search(r'<select name="model">(.*?)</select>', html, re.DOTALL)
    if found is None:
        return []
    return [
        (value, label, "disabled" in more)
        for value, more, label in re.findall(
            r'<option value="([^"]*)"([^>]*)>([^<]*)</option>', found[1]
        )
    ]


def test_a_question_names_its_model(client: FlaskClient, models: FakeLibrary) -> None:
    models.add()
    body = {"question": QUESTION, "model": "org/other"}
    assert client.post("/api/v1/ask", json=body).status_code == 200
    assert models.asked[-1].model == "org/other"
    assert client.post("/api/v1/ask", json={"question": QUESTION}).status_code == 200
    assert models.asked[-1].model == ""
    for wrong in (7, "x" * 301):
        assert client.post("/api/v1/ask", json={**body, "model": wrong}).status_code == 400


def test_a_collection_names_its_model(client: FlaskClient, models: FakeLibrary) -> None:
    path = "/api/v1/collections/default"
    assert client.patch(path, json={"model": "other"}).get_json()["model"] == "org/other"
    both = {"model": None, "parameters": {"seed": 7}}
    assert client.patch(path, json=both).get_json() == {
        **{"name": "default", "documents": 0, "parameters": {"seed": 7}, "model": ""}
    }
    gone = client.patch(path, json={"model": "gone", "parameters": {"seed": 8}})
    assert (gone.status_code, gone.get_json()["title"]) == (404, "Not found")
    (row,) = client.get("/api/v1/collections").get_json()["collections"]
    assert row["parameters"] == {"seed": 7}


def test_the_list_tells_what_is_loaded_and_fits(
    client: FlaskClient, models: FakeLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows() -> dict[str, tuple[bool, bool | None, bool | None]]:
        listed = client.get("/api/v1/models?here=true").get_json()["models"]
        return {one["name"]: (one["in_use"], one["loaded"], one["fits_beside"]) for one in listed}

    assert rows() == {"org/other": (False, False, True), "tiny": (True, True, True)}
    monkeypatch.setattr("rag.model_choices.free_bytes", lambda _: 0)
    assert rows() == {"org/other": (False, False, False), "tiny": (True, True, True)}
    models.settings = replace(models.settings, llm_others=0)
    assert rows() == {"org/other": (False, None, None), "tiny": (True, True, True)}


def test_the_page_lets_choose(
    client: FlaskClient, models: FakeLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = options(client.get("/").text)
    assert [(value, disabled) for value, _, disabled in found] == [
        ("", False),
        ("org/other", False),
        ("none", False),
    ]
    assert found[0][1] == "tiny · 2.0 MB · unknown · in use"
    assert found[1][1] == "org/other · 2.0 MB · unknown · not loaded"
    change_model(models.catalog, "default", "org/other")
    found = options(client.get("/").text)
    assert [value for value, _, _ in found] == ["", "tiny", "org/other", "none"]
    assert found[0][1] == "the collection&#39;s own, else the one in use"
    monkeypatch.setattr("rag.model_choices.free_bytes", lambda _: 0)
    found = options(client.get("/").text)
    assert [disabled for _, _, disabled in found] == [False, False, True, False]
    assert "does not fit: needs" in found[2][1]


def test_there_is_nothing_to_choose_where_one_answers(
    client: FlaskClient, models: FakeLibrary
) -> None:
    models.settings = replace(models.settings, llm_others=0)
    assert options(client.get("/").text) == []


def test_without_javascript_the_choice_stays(client: FlaskClient, models: FakeLibrary) -> None:
    models.add()
    form = {"question": QUESTION, "model": "org/other"}
    page = client.post("/ask", data=form).text
    assert models.asked[-1].model == "org/other"
    assert '<option value="org/other" selected>' in page
    client.post("/ask", data={"question": QUESTION, "model": ""})
    assert models.asked[-1].model == ""
