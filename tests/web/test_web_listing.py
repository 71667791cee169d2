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


FOUND = {
    "handbuch": ["hr/Handbuch Übersicht.txt"],
    "ÜBERSICHT hand": ["hr/Handbuch Übersicht.txt"],
    "ubersicht": ["hr/Handbuch Übersicht.txt"],
    "u\u0308bersicht": ["hr/Handbuch Übersicht.txt"],
    "hr/": ["hr/Handbuch Übersicht.txt", "hr/b.txt"],
    "reisekosten": ["hr/b.txt"],
    "reisekosten hr": ["hr/b.txt"],
    "reisekosten handbuch": [],
    "100%": ["100%_a.txt"],
    "%": ["100%_a.txt"],
    "_a": ["100%_a.txt"],
    "/_": [],
    "\\": [],
    "ガ": ["ガイド.txt"],
    "カ": [],
    "  ": ["100%_a.txt", "hr/Handbuch Übersicht.txt", "hr/b.txt", "ガイド.txt"],
}


@pytest.fixture
def shelf(library: FakeLibrary) -> FakeLibrary:
    titles = {
        "hr/Handbuch Übersicht.txt": "",
        "hr/b.txt": "Reisekosten",
        "100%_a.txt": "",
        "ガイド.txt": "",
    }
    for number, (name, title) in enumerate(titles.items()):
        library.add(name, b"text %d" % number, title=title)
    return library


@pytest.mark.parametrize(("words", "sources"), FOUND.items())
def test_documents_are_found_by_name(
    client: FlaskClient, shelf: FakeLibrary, words: str, sources: list[str]
) -> None:
    reply = client.get("/api/v1/documents", query_string={"q": words}).get_json()
    assert [document["source"] for document in reply["documents"]] == sources
    page = client.get("/library", query_string={"q": words}).text
    assert [name for name in FOUND["  "] if f"<bdi>{name}</bdi>" in page] == sources
    assert ("No document is called so" in page) is (not sources)


def test_what_was_found_comes_in_parts(client: FlaskClient, shelf: FakeLibrary) -> None:
    first = client.get("/api/v1/documents?q=HR/&limit=1").get_json()
    rest = client.get(f"/api/v1/documents?q=HR/&cursor={first['next']}").get_json()
    assert [d["source"] for d in first["documents"] + rest["documents"]] == FOUND["hr/"]
    assert rest["next"] is None
    assert client.get(f"/api/v1/documents?q={'x' * 201}").status_code == 400


def test_what_was_looked_for_stays_on_every_part_of_the_page(
    client: FlaskClient, library: FakeLibrary
) -> None:
    ids = [library.add(f"{n:02} x&y.txt", b"text %d" % n) for n in range(52)]
    page = client.get("/library?q=X%26Y").text
    assert 'name="q" value="X&amp;Y"' in page
    further = page.split('href="/library?q=X%26Y&amp;cursor=')[1].split('"')[0]
    page = client.get(f"/library?q=X%26Y&cursor={further}").text
    assert "51 x&amp;y.txt" in page
    assert 'href="/library?q=X%26Y"' in page
    link = f"/documents/{ids[51]}/remove?q=X%26Y&cursor={further}"
    assert link.replace("&", "&amp;") in page
    assert client.post(link).location == f"/library?q=X%26Y&cursor={further}"
