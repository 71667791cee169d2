"""A conversation outlives the page that it is on, in its tab; what was deleted does not."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from rag.catalog.documents import remove
from tests.web.browsing import IN_A_BROWSER, ask
from tests.web.fakes import FakeLibrary

pytestmark = IN_A_BROWSER


@pytest.fixture(autouse=True)
def _recorded(library: FakeLibrary) -> None:
    library.recording = True


def stored(page: Page) -> str:
    """All that the tab keeps."""
    kept: str = page.evaluate("JSON.stringify({ ...sessionStorage, ...localStorage })")
    return kept


def ask_twice(page: Page) -> None:
    for number, question in enumerate(("How many days?", "Until when?"), 1):
        ask(page, question)
        expect(page.locator(".meta")).to_have_count(number)


def test_it_is_there_after_a_reload_and_goes_on(page: Page, library: FakeLibrary) -> None:
    library.add()
    page.goto("/")
    ask_twice(page)
    before = page.locator(".turn").all_inner_texts()
    page.locator("#question").press_sequentially("And at the")
    page.reload()
    expect(page.locator(".meta")).to_have_count(2)
    expect(page.locator("#question")).to_have_value("And at the")
    assert page.locator(".turn").all_inner_texts() == before
    expect(page.locator(".looked-up q")).to_have_text("How many days? Until when?")
    page.locator(".cite").first.click()
    expect(page.locator("#source mark")).to_be_in_viewport()
    page.keyboard.press("Escape")
    ask(page, "And at the end?")
    expect(page.locator(".meta")).to_have_count(3)
    assert [turn.question for turn in library.asked[-1].history] == [
        "How many days?",
        "Until when?",
    ]
    assert {turn.answer for turn in library.asked[-1].history} == {
        "Up to five unused days may be carried over until 31 March [1]."
    }


def test_back_from_the_whole_document_leads_to_it(page: Page, library: FakeLibrary) -> None:
    library.add()
    page.goto("/")
    ask_twice(page)
    page.locator(".cite").last.click()
    page.locator(".whole").click()
    expect(page.locator("mark#passage")).to_be_in_viewport()
    page.go_back()
    expect(page.locator(".meta")).to_have_count(2)
    expect(page.locator(".turn").last.locator(".words").first).to_be_in_viewport()
    # another tab has its own
    other = page.context.new_page()
    other.goto("/")
    expect(other.locator(".hero")).to_be_visible()
    expect(other.locator(".turn")).to_have_count(0)


def test_what_was_deleted_is_gone_from_it(page: Page, library: FakeLibrary) -> None:
    document_id = library.add()
    page.goto("/")
    ask_twice(page)
    page.locator("#question").press_sequentially("Half a question")
    kept = stored(page)
    assert "Half a question" in kept
    for text in ("days", "Until when", "March", "handbook"):
        assert text not in kept
    remove(library.catalog, document_id)
    page.goto("/library")
    page.go_back()
    expect(page.locator(".turn .question")).to_have_text(["Gone with its document"] * 2)
    expect(page.locator("#turns")).not_to_contain_text("March")
    expect(page.locator("#turns")).not_to_contain_text("How many days?")
    library.add("other.txt")
    ask(page, "And now?")
    expect(page.locator(".meta")).to_have_count(1)
    assert library.asked[-1].history == ()


def test_a_new_conversation_forgets_the_old_one(page: Page, library: FakeLibrary) -> None:
    library.add()
    page.goto("/")
    ask_twice(page)
    page.click("#fresh")
    expect(page.locator(".turn")).to_have_count(0)
    page.reload()
    expect(page.locator(".hero")).to_be_visible()
    expect(page.locator(".turn")).to_have_count(0)
    assert "ans_" not in stored(page)


def test_a_document_asked_alone_has_its_own(page: Page, library: FakeLibrary) -> None:
    document_id = library.add()
    page.goto(f"/?document={document_id}")
    ask_twice(page)
    page.goto("/")
    expect(page.locator(".turn")).to_have_count(0)
    page.go_back()
    expect(page.locator(".meta")).to_have_count(2)
    ask(page, "And then?")
    expect(page.locator(".meta")).to_have_count(3)
    assert library.asked[-1].filters.documents == (document_id,)
    assert len(library.asked[-1].history) == 2


def test_an_answer_that_cannot_be_had_now_is_not_given_up(page: Page, library: FakeLibrary) -> None:
    library.add()
    page.goto("/")
    ask_twice(page)
    page.route("**/api/v1/answers/*", lambda route: route.fulfill(status=502, body="<html>"))
    page.reload()
    expect(page.get_by_role("alert")).to_have_count(2)
    expect(page.get_by_role("alert").first).to_contain_text("The server answered 502.")
    page.unroute("**/api/v1/answers/*")
    page.reload()
    expect(page.locator(".meta")).to_have_count(2)


def test_a_question_under_way_is_in_the_box_again(page: Page, library: FakeLibrary) -> None:
    library.add()
    page.goto("/")
    ask(page, "slow")
    expect(page.locator(".draft")).to_contain_text("draft3")
    page.reload()
    expect(page.locator("#question")).to_have_value("slow")


def test_what_failed_is_asked_again_without_typing(page: Page, library: FakeLibrary) -> None:
    library.add()
    page.goto("/")
    library.is_ready = False
    ask(page, "How many days?")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("being loaded")
    expect(page.locator("#question")).to_have_value("How many days?")
    page.reload()
    expect(page.locator("#question")).to_have_value("How many days?")
    page.keyboard.press("Enter")
    expect(alert).to_contain_text("being loaded")
    # what is typed meanwhile stays, and a question that was broken off is no different
    page.fill("#question", "Something else")
    page.route("**/api/v1/ask", lambda route: route.abort("aborted"))
    page.get_by_role("button", name="Ask again").press("Enter")
    expect(alert).to_contain_text("cannot be reached")
    expect(page.locator(".turn")).to_have_count(1)
    page.unroute("**/api/v1/ask")
    library.is_ready = True
    again = page.get_by_role("button", name="Ask again")
    again.press("Enter")
    expect(page.locator(".meta")).to_have_count(1)
    expect(page.locator(".turn .question")).to_have_text("How many days?")
    expect(page.locator(".turn .question")).to_be_focused()
    expect(again).to_have_count(0)
    expect(page.locator("#question")).to_have_value("Something else")


def test_an_answer_that_broke_down_can_be_asked_again(page: Page, library: FakeLibrary) -> None:
    library.add()
    page.goto("/")
    ask(page, "broken")
    expect(page.get_by_role("alert")).to_contain_text("server's log")
    expect(page.locator("#question")).to_have_value("broken")
    expect(page.get_by_role("button", name="Ask again")).to_be_enabled()


@pytest.mark.parametrize("touch", [True, False])
def test_a_keyboard_comes_up_only_where_it_covers_nothing(
    browser: Browser, address: str, touch: bool
) -> None:
    context = browser.new_context(base_url=address, has_touch=touch, is_mobile=touch)
    page = context.new_page()
    page.goto("/")
    box = page.locator("#question")
    if touch:
        expect(box).not_to_be_focused()
    else:
        expect(box).to_be_focused()
    context.close()
