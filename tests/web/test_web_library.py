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


def test_uploads_are_not_lost_without_a_word(page: Page, library: FakeLibrary) -> None:
    held: list[Route] = []
    page.route("**/api/v1/documents", lambda route: held.append(route))
    page.goto("/library")
    page.locator("h1").click()  # a browser asks only people who did something
    upload(page, "one.txt", "two.txt", "three.txt")
    rows = page.locator(".upload")
    expect(rows.nth(2)).to_contain_text("Waiting its turn")
    page.once("dialog", lambda dialog: dialog.dismiss())
    with page.expect_event("dialog") as leaving:
        page.close(run_before_unload=True)
    assert leaving.value.type == "beforeunload"
    expect(rows).to_have_count(3)
    cancel = page.get_by_role("button", name="Cancel three.txt")
    cancel.press("Enter")
    expect(rows.nth(2)).to_contain_text("Cancelled; it was not added.")
    expect(rows.nth(2).get_by_role("button", name="Retry")).to_be_focused()
    for name in ("one.txt", "two.txt"):
        page.get_by_role("button", name=f"Cancel {name}").click()
    expect(page.locator(".upload.is-failed")).to_have_count(3)
    expect(page.locator(".cancel:visible")).to_have_count(0)
    page.unroute("**/api/v1/documents")
    rows.nth(1).get_by_role("button", name="Retry").click()
    expect(rows.nth(1)).to_contain_text("Searchable")
    expect(page.locator("#total")).to_have_text("1 document")
    page.goto("/")  # nothing is in the way


def test_what_was_uploaded_is_opened_by_its_name(page: Page, library: FakeLibrary) -> None:
    page.goto("/library")
    upload(page, "one.txt")
    row = page.locator(".upload")
    expect(row).to_contain_text("Searchable")
    row.get_by_role("link", name="one.txt").click()
    expect(page.locator(".document-text")).to_contain_text("Text one.txt")
