"""What is asked and read stays in sight: on phones, at high zoom, under the keyboard's focus."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from rag.model_choices import model_choices
from rag.records import Question
from tests.web.browsing import IN_A_BROWSER, ask
from tests.web.fakes import FakeLibrary, add_models

pytestmark = IN_A_BROWSER

# how far what has the focus reaches below the composer's field; never, where it is within
BEHIND = """() => {
    const at = document.activeElement;
    if (at.closest("#composer") || !at.closest("#turns")) return -1;
    const field = document.querySelector("#composer .field").getBoundingClientRect();
    return at.getBoundingClientRect().bottom - field.top;
}"""


@pytest.fixture
def phone(page: Page, library: FakeLibrary) -> Page:
    """A small screen with two answers on it, and all that may be chosen for the next."""
    library.add()
    add_models(library)
    model_choices(library)  # as the server does when it has loaded
    library.passages_each = 3
    page.set_viewport_size({"width": 390, "height": 664})
    page.goto("/")
    for number in (1, 2):
        ask(page, "How many days?")
        expect(page.locator(".meta")).to_have_count(number)
    return page


def test_what_has_the_focus_is_not_behind_the_composer(phone: Page) -> None:
    phone.locator("#question").focus()
    phone.evaluate("scrollTo(0, 0)")
    phone.locator(".turn a").first.focus()
    seen = 0
    while phone.evaluate("!document.activeElement.closest('#composer')"):
        assert phone.evaluate(BEHIND) <= 0
        seen += 1
        phone.keyboard.press("Tab")
    assert seen > 8
    # and back, from below
    phone.locator("#question").focus()
    phone.evaluate("scrollTo(0, 0)")
    for _ in range(4):
        phone.keyboard.press("Shift+Tab")
        assert phone.evaluate(BEHIND) <= 0
    assert phone.evaluate("!document.activeElement.closest('#composer')")


def test_typing_does_not_scroll_the_answer_away(phone: Page) -> None:
    phone.evaluate("scrollTo(0, 100)")
    phone.evaluate("document.querySelector('#question').focus({ preventScroll: true })")
    phone.keyboard.type("And until when")
    expect(phone.locator("#question")).to_have_value("And until when")
    assert phone.evaluate("scrollY") == 100


def test_the_composer_is_low_on_a_phone(phone: Page) -> None:
    box = phone.locator("#composer").bounding_box()
    assert box is not None
    assert box["height"] <= 664 * 0.26
    expect(phone.locator("select[name=model]")).to_be_hidden()
    expect(phone.locator("#advanced")).to_be_hidden()
    options = phone.get_by_role("button", name="Options")
    options.press("Enter")
    expect(options).to_have_attribute("aria-expanded", "true")
    expect(phone.locator("#advanced")).to_be_visible()
    phone.select_option("select[name=model]", "org/other")
    options.click()
    expect(phone.locator("select[name=model]")).to_be_hidden()
    expect(options).to_have_text("Options (1)")
    phone.click("#fresh")
    expect(phone.locator("select[name=model]")).to_be_visible()
    expect(options).to_be_hidden()


def test_there_is_room_for_the_answer_where_the_window_is_low(phone: Page) -> None:
    phone.set_viewport_size({"width": 320, "height": 256})
    phone.evaluate("document.querySelector('.words').scrollIntoView()")
    assert phone.evaluate(
        "document.querySelector('#composer').getBoundingClientRect().top >= innerHeight"
    )


@pytest.mark.parametrize("page", [320], indirect=True)
def test_no_page_scrolls_sideways(page: Page, library: FakeLibrary) -> None:
    document_id = library.add(title="Betriebsvereinbarungsentwurfsfassung.2026")
    add_models(library)
    model_choices(library)
    recorded = library.record(Question("How many days?"))
    for path in (
        "/",
        f"/?document={document_id}",
        "/library",
        f"/documents/{document_id}",
        f"/documents/{document_id}/remove",
        "/models",
        "/models/Qwen/Qwen3-8B",
        "/compare",
        f"/answers/{recorded.id}",
        "/api/docs",
        "/nothing",
    ):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
    page.goto("/")
    ask(page, "How many days?")
    expect(page.locator(".meta")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
