"""What documents and models write stays text: it makes no link, no image, no request elsewhere."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from flask.testing import FlaskClient

import web
from rag.catalog.answers import record_answer
from rag.records import Question
from tests.web import fakes
from tests.web.fakes import HOSTILE, FakeLibrary
from web.security import POLICY

# what may make a browser ask for something, or go somewhere
ASKING = ("src", "srcset", "href", "action", "formaction", "data", "poster", "background", "ping")


class Read(HTMLParser):
    """The tags of a page, where they lead, and the text that people see."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.leads: list[str] = []
        self.attributes: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        self.leads += [value or "" for name, value in attrs if name in ASKING]

    def handle_data(self, data: str) -> None:
        self.text += data


def _check(page: str, shown: int) -> None:
    read = Read(page)
    assert read.text.count(HOSTILE) >= shown
    assert "1337" not in page
    assert all(lead.startswith(("/", "#", "?")) for lead in read.leads), read.leads
    assert not any(lead.startswith("//") for lead in read.leads), read.leads
    assert not [name for name in read.attributes if name.startswith("on") or name == "style"]
    assert "img" not in read.tags
    assert not {"iframe", "object", "embed", "base"} & {*read.tags}


def test_an_answer_shows_such_text_as_text(client: FlaskClient, hostile: str) -> None:
    page = client.post("/ask", data={"question": f"How many? {HOSTILE}"[:190]})
    assert page.status_code == 200
    _check(page.text, 3)


def test_so_does_its_record(client: FlaskClient, library: FakeLibrary, hostile: str) -> None:
    asked = Question(HOSTILE)
    answer = fakes._answer(asked, library._passages(), library)
    assert record_answer(library.catalog, answer)
    _check(client.get(f"/answers/{answer.id}").text, 4)


def test_and_where_nothing_is_answered(client: FlaskClient, hostile: str) -> None:
    page = client.post("/ask", data={"question": "unknown?"}).text
    assert "evil.example" in page  # the closest passages are shown
    _check(page, 1)


def test_so_does_the_page_of_the_source(client: FlaskClient, hostile: str) -> None:
    _check(client.get(f"/documents/{hostile}?start=3&end=40").text, 3)
    _check(client.get("/library").text, 1)
    _check(client.get(f"/documents/{hostile}/remove").text, 1)


def test_a_browser_may_ask_this_server_alone(client: FlaskClient, hostile: str) -> None:
    """Were there a link or an image after all, the policy of the page would not let it load."""
    for path in ("/", f"/documents/{hostile}", "/library"):
        assert client.get(path).headers["Content-Security-Policy"] == POLICY
    sources = dict(part.split(" ", 1) for part in POLICY.split("; "))
    assert sources.pop("default-src") == "'none'"
    assert set(sources.values()) <= {"'self'", "'none'"}


def test_the_original_is_saved_and_not_shown(client: FlaskClient, hostile: str) -> None:
    with client.get(f"/api/v1/documents/{hostile}/content") as reply:
        assert reply.headers["Content-Disposition"].startswith("attachment")
        assert "sandbox" in reply.headers["Content-Security-Policy"]


def test_no_script_makes_elements_of_text() -> None:
    scripts = sorted((Path(web.__file__).parent / "static").glob("*.js"))
    ways = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "srcdoc")
    assert scripts
    assert [(s.name, way) for s in scripts for way in ways if way in s.read_text("utf-8")] == []
