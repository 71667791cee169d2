"""The pages in a real browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect, sync_playwright

from rag.records import Page as PageRecord
from rag.records import Place
from tests.web.fakes import FakeLibrary, make_pdf, page_of

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(params=[1280, 390])
def page(
    browser: Browser, address: str, library: FakeLibrary, request: pytest.FixtureRequest
) -> Iterator[Page]:
    """A page whose console stays silent; only requests that were refused may be told there."""
    context = browser.new_context(
        viewport={"width": request.param, "height": 800}, base_url=address
    )
    page = context.new_page()
    page.set_default_timeout(8000)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfailed", lambda failed: said.append(f"failed: {failed.url} {failed.failure}"))
    yield page
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()
    expected = re.compile(r"the server responded with a status of [45]\d\d|ERR_ABORTED")
    assert [text for text in said if not expected.search(text)] == []


def ask(page: Page, question: str) -> None:
    page.fill("#question", question)
    page.keyboard.press("Enter")


def test_an_answer_streams_and_its_source_opens(page: Page, library: FakeLibrary) -> None:
    library.add()
    library.pause = 0.2
    page.goto("/")
    ask(page, "How many days <b>may</b> be carried over?")
    expect(page.locator(".passages a")).to_have_count(1)
    expect(page.locator(".draft")).to_contain_text("draft0")
    expect(page.locator(".meta")).to_contain_text("SmolLM2-135M-Instruct")
    expect(page.locator(".draft")).to_be_hidden()
    expect(page.locator(".support")).to_have_text(["supported", "quoted", "not supported"])
    expect(page.locator(".question")).to_have_text("How many days <b>may</b> be carried over?")
    page.locator(".cite").first.click()
    mark = page.locator("#source mark")
    expect(mark).to_have_text("Up to five unused days may be carried over until 31 March 🌿.")
    expect(mark).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(page.locator("#source")).to_be_hidden()
    expect(page.locator(".cite").first).to_be_focused()
    page.locator(".cite").first.press("Enter")
    page.locator(".whole").click()
    expect(page.locator("mark#passage")).to_be_in_viewport()


def test_follow_ups_send_what_was_said(page: Page, library: FakeLibrary) -> None:
    library.add()
    page.goto("/")
    ask(page, "First?")
    expect(page.locator(".meta")).to_have_count(1)
    ask(page, "Second?")
    expect(page.locator(".meta")).to_have_count(2)
    assert [turn.question for turn in library.asked[1].history] == ["First?"]
    page.click("#fresh")
    expect(page.locator(".turn")).to_have_count(0)
    ask(page, "Third?")
    expect(page.locator(".meta")).to_have_count(1)
    assert library.asked[2].history == ()


def test_stop_ends_generation(page: Page, library: FakeLibrary) -> None:
    library.add()
    page.goto("/")
    ask(page, "slow")
    expect(page.locator(".draft")).to_contain_text("draft3")
    page.click("#stop")
    expect(page.locator(".stopped")).to_be_visible()
    expect(page.locator("#send")).to_be_visible()
    assert library.closed.wait(1)


def test_it_says_what_the_documents_do_not_say(page: Page, library: FakeLibrary) -> None:
    library.add()
    page.goto("/")
    ask(page, "unknown")
    expect(page.get_by_role("heading", name="The documents do not say")).to_be_visible()
    expect(page.locator(".closest a")).to_have_count(1)
    expect(page.locator(".sentence")).to_have_count(0)


def test_a_failure_is_told(page: Page, library: FakeLibrary) -> None:
    page.goto("/")
    ask(page, "broken")
    expect(page.get_by_role("alert")).to_contain_text("server's log")


def test_it_waits_for_the_models(page: Page, library: FakeLibrary) -> None:
    library.is_ready = False
    page.goto("/")
    expect(page.locator("#loading")).to_be_visible()
    library.is_ready = True
    expect(page.locator("#loading")).to_be_hidden()


def test_uploads_show_progress_and_reasons(page: Page, library: FakeLibrary) -> None:
    page.goto("/library")
    expect(page.get_by_text("The shelves are empty.")).to_be_visible()
    page.set_input_files(
        "#files",
        [
            FilePayload(name="good.txt", mimeType="text/plain", buffer=b"Some good text."),
            FilePayload(name="broken.txt", mimeType="text/plain", buffer=b"Broken text."),
            FilePayload(name="program.exe", mimeType="x/y", buffer=b"MZ"),
            FilePayload(name="large.txt", mimeType="text/plain", buffer=b"x" * 100_001),
        ],
    )
    rows = page.locator(".upload")
    expect(rows).to_have_count(4)
    expect(rows.nth(2)).to_contain_text("cannot be read")
    expect(rows.nth(3)).to_contain_text("Larger than the limit")
    expect(rows.nth(0)).to_contain_text("Searchable")
    expect(rows.nth(1)).to_contain_text("The file is damaged")
    expect(rows.nth(1).get_by_role("button", name="Retry")).to_be_visible()
    expect(page.locator("#total")).to_have_text("2 documents")
    page.locator(".documents .retry button").click()
    expect(page.locator(".documents [data-state='failed']")).to_have_count(0)
    expect(page.locator(".documents [data-state='failed']")).to_have_count(1)


def test_deleting_asks_first(page: Page, library: FakeLibrary) -> None:
    library.add()
    page.goto("/library")
    page.get_by_role("link", name="Delete Staff handbook").click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.locator("[data-id]")).to_have_count(1)
    page.get_by_role("link", name="Delete Staff handbook").click()
    page.locator("#confirm .danger").click()
    expect(page.get_by_text("The shelves are empty.")).to_be_visible()


def test_hostile_text_stays_text(page: Page, library: FakeLibrary) -> None:
    hostile = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    library.add(f"{hostile[:20]}.txt", hostile.encode(), pages=(page_of(hostile),), title=hostile)
    page.goto("/library")
    expect(page.locator("tbody th a")).to_have_text(hostile)
    page.goto("/")
    ask(page, hostile)
    expect(page.locator(".meta")).to_be_visible()
    page.locator(".cite").first.click()
    expect(page.locator("#source mark")).to_have_text(hostile)
    assert page.locator("main img").count() == 0


def test_a_pdf_page_is_shown_with_its_text(
    page: Page, library: FakeLibrary, tmp_path: Path
) -> None:
    places = (Place(0, 10, (0.1, 0.07, 0.4, 0.1)),)
    record = PageRecord(1, "Up to five unused days", (), places, "", 612, 792)
    document_id = library.add("leave.pdf", make_pdf(tmp_path / "l.pdf"), "pdf", (record,))
    page.goto(f"/documents/{document_id}?page=1&start=0&end=10#passage")
    expect(page.locator(".sheet img")).to_be_visible()
    page.wait_for_function("document.querySelector('.sheet img').naturalWidth > 500")
    box = page.locator(".sheet rect").bounding_box()
    sheet = page.locator(".sheet").bounding_box()
    assert box is not None
    assert sheet is not None
    assert abs((box["x"] - sheet["x"]) / sheet["width"] - 0.1) < 0.02
    expect(page.locator("mark#passage")).to_have_text("Up to five")
