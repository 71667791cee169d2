"""The interface's description of itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

DESCRIBED = ("/api/v1/", "/healthz", "/identity", "/readyz")


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").get_json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_it_lists_every_route_of_the_interface(app: Flask, document: dict[str, Any]) -> None:
    expected = {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
        if rule.rule.startswith(DESCRIBED) and method not in ("HEAD", "OPTIONS")
    }
    assert {(method, path) for method, path, _ in operations(document)} == expected


def test_it_is_a_whole_3_1_document(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["title"] == "Cloister"
    assert document["info"]["version"]
    schemas = document["components"]["schemas"]
    for reference in references(document):
        prefix, name = reference.rsplit("/", 1)
        assert prefix == "#/components/schemas"
        assert name in schemas
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    for _, path, operation in operations(document):
        assert operation["summary"]
        named = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))
        for reply in operation["responses"].values():
            assert reply["description"]


def test_problems_are_described_as_such(document: dict[str, Any]) -> None:
    for _, _, operation in operations(document):
        for status, reply in operation["responses"].items():
            if int(status) >= 400 and "readyz" not in operation["operationId"]:
                assert list(reply["content"]) == ["application/problem+json"], operation


def test_people_can_read_it(client: FlaskClient, document: dict[str, Any]) -> None:
    page = client.get("/api/docs").text
    for _, path, _ in operations(document):
        assert path in page
    for name in document["components"]["schemas"]:
        assert f'id="schema-{name}"' in page
