"""Messages that name commands, on pages."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect

from tests.web.browsing import IN_A_BROWSER, ask
from tests.web.fakes import FakeLibrary
from web.commands import on_page

HTML = {"Accept": "text/html"}


def test_a_page_is_named_where_one_shows_the_same() -> None:
    assert on_page("<a>; `cloister ingest status` lists them. Use `x <y>`.") == (
        '&lt;a&gt;; <a href="/library">the library</a> lists them. Use <code>x &lt;y&gt;</code>.'
    )
    assert on_page("Gone. `cloister models list` shows all.") == (
        'Gone. <a href="/models">The page Models</a> shows all.'
    )
    assert on_page("`") == "`"


@pytest.mark.parametrize(
    ("path", "link"),
    [
        ("/documents/doc_x", '<a href="/library">the library</a> lists them.'),
        ("/models/nobody/nothing", '<a href="/models">The page Models</a> shows all'),
    ],
)
def test_what_is_not_there_leads_on(client: FlaskClient, path: str, link: str) -> None:
    reply = client.get(path, headers=HTML)
    assert reply.status_code == 404
    assert link in reply.text
    assert "`" not in reply.text
    # a program is told the command
    assert "`cloister" in client.get(path, headers={"Accept": "application/json"}).text


class TestInABrowser:
    """What a script says."""

    pytestmark = IN_A_BROWSER

    def test_a_failure_leads_on(self, page: Page, library: FakeLibrary) -> None:
        page.goto("/")
        detail = '{"detail": "There is none; `cloister ingest status` lists them. Use `x <y>`."}'
        page.route("**/api/v1/ask", lambda route: route.fulfill(status=404, body=detail))
        ask(page, "How many days?")
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("There is none; the library lists them. Use x <y>.")
        alert.get_by_role("link", name="the library").click()
        page.wait_for_url("**/library")
