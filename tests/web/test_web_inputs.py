"""What the REST interface takes, and in which words it says what it does not take."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.web.fakes import FakeLibrary

ASK, SEARCH = "/api/v1/ask", "/api/v1/search"
LIKE_A_VALIDATOR = re.compile(r"validation|tuple|instance of|Value error|Input|should|codec|dict")


@pytest.mark.parametrize(
    ("path", "given", "told"),
    [
        (ASK, {"stream": "yes"}, "“stream” must be true or false."),
        (ASK, {"stream": 1}, "“stream” must be true or false."),
        (ASK, {"parameters": {"temperature": True}}, "“parameters.temperature” must be a number."),
        (ASK, {"parameters": {"top_k": "5"}}, "“parameters.top_k” must be a number."),
        (ASK, {"parameters": {"top_k": 5.5}}, "“parameters.top_k” must be a whole number."),
        (ASK, {"parameters": {"seed": -1}}, "“parameters.seed” must be at least 0."),
        (ASK, {"filters": {"documents": "doc_1"}}, "“filters.documents” must be a list."),
        (ASK, {"filters": []}, "“filters” must be an object."),
        (ASK, {"filters": {"kinds": ["pdf"] * 51}}, "“filters.kinds” holds more than 50 items."),
        (ASK, {"collections": []}, "“collections” must not be empty."),
        (ASK, {"question": 7}, "“question” must be text."),
        (ASK, {"question": None}, "“question” must be text."),
        (ASK, {"question": "\ud800"}, "“question” holds half of a character (a lone surrogate)."),
        (SEARCH, {"limit": True}, "“limit” must be a number."),
        (SEARCH, {"limit": "5"}, "“limit” must be a number."),
        (SEARCH, {"limit": 101}, "“limit” must be at most 100."),
        ("/api/v1/votes", {"seed": "1"}, "“seed” must be a number."),
        ("/api/v1/votes", {"vote": "A"}, "“vote” must be 'first', 'second', "),
    ],
)
def test_what_the_description_does_not_allow_is_told_in_plain_words(
    client: FlaskClient, path: str, given: dict[str, Any], told: str
) -> None:
    least = {ASK: {"question": "a"}, SEARCH: {"query": "a"}}
    body = json.dumps(least.get(path, {}) | given)
    reply = client.post(path, data=body, content_type="application/json")
    assert reply.status_code == 400
    detail = reply.get_json()["detail"]
    assert told in detail
    assert not LIKE_A_VALIDATOR.search(detail)


def test_null_is_as_good_as_left_out(client: FlaskClient, library: FakeLibrary) -> None:
    names = ("collections", "filters", "history", "parameters", "model", "stream")
    body = {"question": "How many days?", **dict.fromkeys(names)}
    assert client.post(ASK, json=body).status_code == 200
    assert client.post(ASK, json={"question": "How many days?"}).status_code == 200
    assert library.asked[0] == library.asked[1]
    body = {"query": "days", "filters": {"since": None, "kinds": None}, "limit": None}
    assert client.post(SEARCH, json=body).status_code == 200


def test_a_whole_number_may_have_a_point(client: FlaskClient) -> None:
    """JSON knows one kind of number, and some programs write 5 as 5.0."""
    assert client.post(SEARCH, json={"query": "days", "limit": 5.0}).status_code == 200


@pytest.mark.parametrize(
    "sent", [{}, {"content_type": "application/json"}, {"json": {}}, {"json": {"adapter": None}}]
)
def test_a_model_is_activated_without_a_body(
    client: FlaskClient, library: FakeLibrary, sent: dict[str, Any]
) -> None:
    assert client.post("/api/v1/models/tiny/activate", **sent).status_code == 202
    assert library.used == [("tiny", "auto")]


@pytest.mark.parametrize("data", [b"{", b"null", b"[]"])
def test_a_body_that_is_no_object_is_still_none(client: FlaskClient, data: bytes) -> None:
    for path in ("/api/v1/models/nope/activate", "/api/v1/comparisons", ASK):
        reply = client.post(path, data=data, content_type="application/json")
        assert reply.status_code == 400
        assert reply.get_json()["type"] == "urn:cloister:problem:usage-error"
        assert "JSON" in reply.get_json()["detail"]


def test_half_a_character_in_a_question_to_compare_on_is_told(client: FlaskClient) -> None:
    body = {"models": ["a", "b"], "questions": [{"question": "\ud800"}]}
    reply = client.post(
        "/api/v1/comparisons", data=json.dumps(body), content_type="application/json"
    )
    assert reply.status_code == 400
    assert "lone surrogate" in reply.get_json()["detail"]
    assert not LIKE_A_VALIDATOR.search(reply.get_json()["detail"])


def test_files_in_no_form_are_told_how_to_be_sent(client: FlaskClient) -> None:
    reply = client.post("/api/v1/documents", data=b"%PDF", content_type="application/pdf")
    assert reply.status_code == 415
    assert "multipart/form-data" in reply.get_json()["detail"]


def test_a_parent_that_is_none_is_told(client: FlaskClient, library: FakeLibrary) -> None:
    assert client.get("/api/v1/documents?parent=nope").status_code == 404
    document_id = library.add()
    assert client.get(f"/api/v1/documents?parent={document_id}").get_json()["documents"] == []


def test_who_is_busy_says_when_to_come_back(client: FlaskClient, library: FakeLibrary) -> None:
    library.is_ready = False
    reply = client.post(ASK, json={"question": "a"})
    assert reply.status_code == 503
    assert reply.headers["Retry-After"] == "5"
    assert "Retry-After" not in client.post(ASK, json={}).headers


def test_an_original_names_its_encoding_once(client: FlaskClient, library: FakeLibrary) -> None:
    with client.get(f"/api/v1/documents/{library.add()}/content") as reply:
        assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_the_description_names_what_comes(client: FlaskClient) -> None:
    paths = client.get("/openapi.json").get_json()["paths"]
    asked = paths["/api/v1/ask"]["post"]["responses"]["200"]["content"]
    assert set(asked) == {"application/json", "text/event-stream"}
    given = paths["/api/v1/documents/{document_id}/content"]["get"]["responses"]["200"]["content"]
    assert set(given) == {"application/pdf", "text/plain", "application/octet-stream"}
    body = paths["/api/v1/models/{model_id}/activate"]["post"]["requestBody"]
    assert body["required"] is False
