"""The library page at work, in a real browser."""

from __future__ import annotations

from playwright.sync_api import FilePayload, Page, Route, expect

from tests.web.browsing import IN_A_BROWSER
from tests.web.fakes import FakeLibrary

pytestmark = IN_A_BROWSER


def delete(page: Page, title: str) -> None:
    page.get_by_role("link", name=f"Delete {title}", exact=True).click()
    page.locator("#confirm .danger").click()


def test_deleting_goes_on_from_where_it_was(page: Page, library: FakeLibrary) -> None:
    for number in range(10, 40):
        library.add(f"{number}.txt", f"Text {number}".encode(), title=f"Paper {number}")
    page.goto("/library")
    links = page.locator("#documents .remove")
    links.nth(20).scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    assert before > 0
    delete(page, "Paper 30")
    expect(page.get_by_role("status").filter(has_text="Deleted “Paper 30”.")).to_have_count(1)
    expect(page.get_by_role("link", name="Delete Paper 31")).to_be_focused()
    assert page.evaluate("scrollY") == before
    # the last one has none after it
    links.last.scroll_into_view_if_needed()
    delete(page, "Paper 39")
    expect(page.get_by_role("link", name="Delete Paper 38")).to_be_focused()


def test_deleting_the_only_one_leads_to_the_total(page: Page, library: FakeLibrary) -> None:
    library.add()
    page.goto("/library")
    delete(page, "Staff handbook")
    expect(page.locator("#total")).to_be_focused()
    expect(page.locator("#total")).to_have_text("No documents yet")


def upload(page: Page, *names: str) -> None:
    page.set_input_files(
        "#files",
        [FilePayload(name=n, mimeType="text/plain", buffer=f"Text {n}".encode()) for n in names],
    )


def test_a_broken_reply_does_not_end_the_looking(page: Page, library: FakeLibrary) -> None:
    broken = {"status": 200, "body": '{"state": "par', "content_type": "application/json"}
    replies = [broken, {"status": 502, "body": "<html>"}]

    def reply(route: Route) -> None:
        if replies:
            route.fulfill(**replies.pop())  # type: ignore[arg-type]
        else:
            route.continue_()

    page.route("**/api/v1/documents/doc_*", reply)
    page.goto("/library")
    upload(page, "one.txt")
    expect(page.locator(".upload .status")).to_have_text("Searchable")
    assert replies == []
    upload(page, "two.txt")
    expect(page.locator(".upload .status")).to_have_text(["Searchable", "Searchable"])
    expect(page.locator("#total")).to_have_text("2 documents")
