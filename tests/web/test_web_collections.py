"""Collections over REST, and how answers are generated over REST and on the page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from rag.catalog.collections import (
    asked_parameters,
    change_model,
    change_parameters,
    create_collection,
)
from rag.ranges import Range
from tests.web.fakes import FakeLibrary

COLLECTION = "/api/v1/collections/default"


def test_collections_are_listed(client: FlaskClient, library: FakeLibrary) -> None:
    library.add()
    create_collection(library.catalog, "legal")
    change_parameters(library.catalog, "legal", {"temperature": 0.2})
    change_model(library.catalog, "legal", "none")
    assert client.get("/api/v1/collections").get_json() == {
        "collections": [
            {"name": "default", "documents": 1, "parameters": {}, "model": ""},
            {"name": "legal", "documents": 0, "parameters": {"temperature": 0.2}, "model": "none"},
        ]
    }


def test_a_collection_is_made_and_looked_at(client: FlaskClient, library: FakeLibrary) -> None:
    made = {"name": "legal-2026", "documents": 0, "parameters": {}, "model": ""}
    for status in (201, 200):
        reply = client.post("/api/v1/collections", json={"name": "legal-2026"})
        assert (reply.status_code, reply.get_json()) == (status, made)
    assert client.get("/api/v1/collections/legal-2026").get_json() == made
    reply = client.post("/api/v1/collections", json={"name": "default"})
    assert reply.status_code == 200
    for name in ("Legal", "a/b", "-", "ä"):
        reply = client.post("/api/v1/collections", json={"name": name})
        assert reply.status_code == 400
        assert "cannot name a collection" in reply.get_json()["detail"]
    reply = client.get("/api/v1/collections/legal")
    assert reply.status_code == 404
    assert "Did you mean “legal-2026”?" in reply.get_json()["detail"]
    assert len(client.get("/api/v1/collections").get_json()["collections"]) == 2


def test_a_collections_parameters_are_set_and_forgotten(
    client: FlaskClient, library: FakeLibrary
) -> None:
    given = {"parameters": {"temperature": 0.2, "system_prompt": "Be brief."}}
    reply = client.patch(COLLECTION, json=given)
    assert reply.status_code == 200
    assert reply.get_json() == {"name": "default", "documents": 0, **given, "model": ""}
    reply = client.patch(COLLECTION, json={"parameters": {"temperature": None, "seed": 7}})
    assert reply.get_json()["parameters"] == {"system_prompt": "Be brief.", "seed": 7}
    assert asked_parameters(library.catalog, ["default"]) == reply.get_json()["parameters"]


@pytest.mark.parametrize(
    ("path", "body", "status", "word"),
    [
        ("/api/v1/collections/nowhere", {"parameters": {}}, 404, "nowhere"),
        (COLLECTION, {"parameters": {"temperature": 9}}, 400, "temperature"),
        (COLLECTION, {"parameters": {"temperature": 0.8}}, 400, "0..0.5 is allowed"),
        (COLLECTION, {"parameters": {"typical_p": 1}}, 400, "typical_p"),
        (COLLECTION, {"parameters": {"system_prompt": "x" * 4001}}, 400, "system_prompt"),
        (COLLECTION, {"parameters": 7}, 400, "parameters"),
        (COLLECTION, {}, 400, "parameters"),
        (COLLECTION, {"name": "other", "parameters": {}}, 400, "name"),
    ],
)
def test_a_change_that_is_not_allowed_is_told(
    client: FlaskClient, library: FakeLibrary, path: str, body: object, status: int, word: str
) -> None:
    library.settings = replace(library.settings, limits_temperature=Range(0, 0.5))
    reply = client.patch(path, json=body)
    assert reply.status_code == status
    assert reply.mimetype == "application/problem+json"
    assert word in reply.get_json()["detail"]
    assert asked_parameters(library.catalog, ["default"]) == {}


def test_another_sites_page_changes_nothing(client: FlaskClient) -> None:
    headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    reply = client.patch(COLLECTION, json={"parameters": {"seed": 1}}, headers=headers)
    assert reply.status_code == 403


LIMITS: dict[str, Any] = {
    "limits_temperature": Range(0, 0.5),
    "limits_top_k": Range(40, 40),
    "limits_system_prompt": Range(0, 20),
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"temperature": 0.8}, "temperature is 0.8; 0..0.5 is allowed (limits.temperature)"),
        ({"top_k": 5}, "top_k is 5; the operator fixed it at 40 (limits.top_k)"),
        ({"system_prompt": "x" * 21}, "system_prompt has 21 characters; 20 are allowed"),
        ({"min_new_tokens": 65}, "more than max_new_tokens, which is 64"),
    ],
)
def test_a_question_is_held_to_the_operators_limits(
    client: FlaskClient, library: FakeLibrary, given: dict[str, Any], told: str, stream: bool
) -> None:
    library.settings = replace(library.settings, **LIMITS)
    change_parameters(library.catalog, "default", {"max_new_tokens": 64})
    body = {"question": "How many?", "parameters": given, "stream": stream}
    reply = client.post("/api/v1/ask", json=body)
    assert reply.status_code == 400
    assert told in reply.get_json()["detail"]
    assert library.asked == []


def test_all_parameters_reach_the_library(client: FlaskClient, library: FakeLibrary) -> None:
    given = {
        **{"temperature": 0.5, "top_k": 20, "top_p": 0.9, "min_new_tokens": 1, "seed": 7},
        **{"max_new_tokens": 9, "repetition_penalty": 1.1, "system_prompt": "Be brief."},
    }
    client.post("/api/v1/ask", json={"question": "How many?", "parameters": given})
    assert library.asked[0].parameters == given
    texts = {name: str(value) for name, value in given.items()}
    client.post("/ask", data={"question": "How many?", **texts})
    assert library.asked[1].parameters == given


def test_the_page_has_a_field_for_each_that_may_be_set(
    client: FlaskClient, library: FakeLibrary
) -> None:
    library.settings = replace(library.settings, **LIMITS)
    page = client.get("/").text
    assert '<details class="advanced" id="advanced">' in page
    assert 'name="temperature" value="" min="0" max="0.5" step="any" placeholder="0"' in page
    assert 'name="max_new_tokens" value="" min="1" max="4096" step="1" placeholder="128"' in page
    assert 'name="system_prompt" rows="2"' in page
    assert "At most 20 characters." in page
    assert 'name="top_k"' not in page  # fixed: there is nothing to choose


def test_without_javascript_a_wrong_value_is_told_and_kept(
    client: FlaskClient, library: FakeLibrary
) -> None:
    library.settings = replace(library.settings, **LIMITS)
    for value, told in (("0.8", "0..0.5 is allowed"), ("<warm>", "is no number")):
        given = {"question": "How many?", "temperature": value, "system_prompt": "<b>brief"}
        reply = client.post("/ask", data=given)
        assert reply.status_code == 400
        assert told in reply.text
        assert 'id="advanced" open' in reply.text
        assert f'value="{value.replace("<", "&lt;").replace(">", "&gt;")}"' in reply.text
        assert "&lt;b&gt;brief</textarea>" in reply.text
    assert library.asked == []
