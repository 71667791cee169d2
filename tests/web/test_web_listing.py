"""The list of documents: its parts, and what goes or changes while it is walked."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from rag.catalog.schema import documents
from tests.web.fakes import FakeLibrary

LONG = [f"{'長' * 570}/{number}.txt" for number in range(4)]


def test_a_long_path_has_a_short_cursor(client: FlaskClient, library: FakeLibrary) -> None:
    """The request's first line stays below 4,094 bytes with all else that it may hold."""
    for number, name in enumerate([*LONG, "a.txt"]):
        library.add(name, b"text %d" % number)
    assert _walk(client, 2) == ["a.txt", *LONG]
    first = client.get("/api/v1/documents?limit=2").get_json()
    assert len(first["next"]) < 1300


@pytest.mark.parametrize("gone", ["a.txt", LONG[0]])
def test_a_document_that_goes_amid_a_walk_does_not_end_it(
    client: FlaskClient, library: FakeLibrary, gone: str
) -> None:
    names = ["a.txt", *LONG, "龜.txt"]
    ids = {name: library.add(name, b"text %d" % i) for i, name in enumerate(names)}
    part = client.get(f"/api/v1/documents?limit={names.index(gone) + 1}").get_json()
    assert client.delete(f"/api/v1/documents/{ids[gone]}").status_code == 204
    assert _walk(client, 2, part["next"]) == names[names.index(gone) + 1 :]


def test_a_long_path_that_is_renamed_amid_a_walk_leaves_none_out(
    client: FlaskClient, library: FakeLibrary
) -> None:
    names = ["a.txt", *LONG, "龜.txt"]
    ids = [library.add(name, b"text %d" % i) for i, name in enumerate(names)]
    part = client.get("/api/v1/documents?limit=2").get_json()
    with library.catalog.write() as connection:
        connection.execute(
            update(documents).where(documents.c.id == ids[1]).values(source="龍/0.txt")
        )
    assert _walk(client, 2, part["next"]) == [*LONG[1:], "龍/0.txt", "龜.txt"]


def _walk(client: FlaskClient, limit: int, cursor: str = "") -> list[str]:
    """The sources of the list, from the cursor on, taken in parts."""
    found: list[str] = []
    while True:
        more = f"&cursor={cursor}" if cursor else ""
        part = client.get(f"/api/v1/documents?limit={limit}{more}").get_json()
        found += [document["source"] for document in part["documents"]]
        cursor = part["next"]
        if not cursor:
            return found
