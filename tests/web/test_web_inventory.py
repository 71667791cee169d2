"""Questions about the library itself, by REST and on the pages, over a real library."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Browser, expect

from rag.library import Library
from rag.testing import FakeLLM, fake_settings
from tests.ingest.reading import add_text, read_all
from tests.web.browsing import CHROMIUM
from tests.web.test_web_ask import events_of

TRAVEL = "Which documents do you have on travel?"


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """Three documents, two of them on travel, and no LLM."""
    FakeLLM.replies = []
    library = Library(fake_settings(tmp_path))
    library.load(llm=False)
    add_text(library, "travel_policy.md", "# Travel <b>policy</b>\n\nTravel is by train.")
    add_text(library, "handbook.txt", "Staff handbook.\n\nTravel time is working time.")
    add_text(library, "menu.txt", "Soup is served on Monday.")
    read_all(library)
    yield library
    library.close()


def test_it_is_answered_whole_and_streamed(client: FlaskClient) -> None:
    reply = client.post("/api/v1/ask", json={"question": TRAVEL})
    assert reply.status_code == 200
    answer: dict[str, Any] = reply.get_json()
    assert answer["answered_from"] == "catalog"
    assert answer["model"]["id"] == "none"
    assert [c["source"] for c in answer["citations"]] == ["travel_policy.md", "handbook.txt"]
    kept = client.get(f"/api/v1/answers/{answer['id']}").get_json()
    assert kept == answer
    streamed = client.post("/api/v1/ask", json={"question": TRAVEL, "stream": True})
    events = events_of(streamed.get_data(as_text=True))
    assert [name for name, _ in events] == ["sources", *["sentence"] * 3, "done"]
    assert [data["text"] for name, data in events if name == "sentence"] == [
        s["text"] for s in answer["sentences"]
    ]
    # what needs the LLM is still refused
    assert client.post("/api/v1/ask", json={"question": "By what is travel?"}).status_code == 503


def test_the_description_names_it(client: FlaskClient) -> None:
    schemas = client.get("/openapi.json").get_json()["components"]["schemas"]
    assert "catalog" in str(schemas["Sentence"]["properties"]["support"])
    assert "catalog" in str(schemas["Answer"]["properties"]["answered_from"])


def test_the_pages_without_script(client: FlaskClient) -> None:
    page = client.post("/ask", data={"question": TRAVEL}, follow_redirects=True).text
    assert page.count('data-support="catalog"') == 3
    assert "from the catalog" in page
    assert "&lt;b&gt;policy" in page
    assert "<b>policy" not in page
    shown = page.split("<template")[0]
    assert "<dt>Model" not in shown
    assert "Passages read" not in shown
    name = page.split('href="/answers/')[1].split('"')[0]
    record = client.get(f"/answers/{name}").get_data(as_text=True)
    assert "No model was asked." in record
    assert "Estimated chance" not in record
    assert "<dt>Model" not in record


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
@pytest.mark.parametrize("width", [1280, 390])
def test_the_list_on_the_ask_page(
    browser: Browser, address: str, library: Library, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, base_url=address)
    page = context.new_page()
    page.set_default_timeout(8000)
    page.goto("/")
    page.fill("#question", TRAVEL)
    page.keyboard.press("Enter")
    lines = page.locator('.sentence[data-support="catalog"]')
    expect(page.locator(".meta")).to_have_count(1)
    expect(lines).to_have_count(3)
    expect(lines.nth(1)).to_contain_text("Travel <b>policy</b> (travel_policy.md)")
    # it is said once where the list is from
    expect(page.locator(".support:visible")).to_have_text(["from the catalog"])
    expect(page.locator(".read")).to_be_hidden()
    expect(page.locator(".judge")).to_be_hidden()
    expect(page.locator(".meta")).not_to_contain_text("Model")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    lines.nth(2).locator(".cite").click()
    expect(page.locator("#source mark")).to_have_text("Travel time is working time.")
    page.keyboard.press("Escape")
    page.fill("#question", "And on soup?")
    page.keyboard.press("Enter")
    expect(page.locator(".meta")).to_have_count(2)
    expect(page.locator(".turn").nth(1)).to_contain_text("1 document mentions “soup”")
    context.close()
