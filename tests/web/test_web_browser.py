"""The pages in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from rag.catalog.feedback import feedback_on, take_back
from rag.model_choices import model_choices
from rag.parsed import Block, BlockKind, Place
from rag.parsed import Page as PageRecord
from rag.records import Question
from tests.web.browsing import IN_A_BROWSER, ask
from tests.web.fakes import HOSTILE, FakeLibrary, add_models, make_pdf, page_of

pytestmark = IN_A_BROWSER


def test_the_choice_of_a_model_stays_for_the_conversation(page: Page, library: FakeLibrary) -> None:
    library.add()
    add_models(library)
    model_choices(library)  # as the server does when it has loaded
    page.goto("/")
    page.select_option("select[name=model]", "org/other")
    library.pause = 0.5
    ask(page, "How many days?")
    expect(page.locator(".progress").last).to_contain_text("loading org/other")
    expect(page.locator(".meta")).to_have_count(1)
    library.pause = 0.0
    ask(page, "Until when?")
    expect(page.locator(".meta")).to_have_count(2)
    assert [question.model for question in library.asked] == ["org/other", "org/other"]
    page.click("#fresh")
    expect(page.locator("select[name=model]")).to_have_value("")
    ask(page, "How many days?")
    expect(page.locator(".meta")).to_have_count(1)
    assert library.asked[-1].model == ""


def test_an_answer_streams_and_its_source_opens(page: Page, library: FakeLibrary) -> None:
    library.add()
    library.pause = 0.2
    page.goto("/")
    ask(page, "How many days <b>may</b> be carried over?")
    expect(page.locator(".passages a")).to_have_count(1)
    expect(page.locator(".evidence .words")).to_contain_text("Up to five unused days")
    expect(page.locator(".evidence .support")).to_have_text("best quote so far")
    expect(page.locator(".draft")).to_contain_text("draft0")
    expect(page.locator(".meta")).to_contain_text("SmolLM2-135M-Instruct")
    expect(page.locator(".draft")).to_be_hidden()
    expect(page.locator(".evidence")).to_be_hidden()
    shown = page.locator(".sentences .support")
    expect(shown).to_have_text(["supported", "quoted", "not supported"])
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


def test_the_focus_comes_back_though_the_quote_became_the_answer(
    page: Page, library: FakeLibrary
) -> None:
    library.add()
    library.pause = 0.4
    page.goto("/")
    ask(page, "How many days may be carried over?")
    page.locator(".evidence .cite").click()
    expect(page.locator("#source mark")).to_be_visible()
    expect(page.locator(".evidence")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.locator(".sentences .cite").first).to_be_focused()


def test_an_answer_is_rated_without_leaving_the_page(page: Page, library: FakeLibrary) -> None:
    library.add()
    recorded = library.record(Question("How many days?"))
    page.goto("/")
    ask(page, "How many days?")
    right, wrong = (page.get_by_role("button", name=name) for name in ("Right", "Wrong"))
    right.click()
    expect(right).to_have_attribute("aria-pressed", "true")
    wrong.click()
    expect(wrong).to_have_attribute("aria-pressed", "true")
    expect(right).to_have_attribute("aria-pressed", "false")
    said = feedback_on(library.catalog, recorded.id)
    assert said is not None
    assert said.rating == "wrong"
    wrong.click()
    expect(page.locator(".rating .said")).to_have_text("Taken back.")
    assert feedback_on(library.catalog, recorded.id) is None
    # taken back elsewhere meanwhile
    wrong.click()
    expect(page.locator(".rating .said")).to_contain_text("Noted.")
    take_back(library.catalog, recorded.id)
    wrong.click()
    expect(page.locator(".rating .said")).to_have_text("Taken back.")
    wrong.click()
    page.get_by_role("link", name="Say what would be right").click()
    page.get_by_label("What would be right").fill("six")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("What would be right")).to_have_value("six")
    said = feedback_on(library.catalog, recorded.id)
    assert said is not None
    assert said.correct_answer == "six"


def test_an_answer_that_is_not_kept_cannot_be_rated(page: Page, library: FakeLibrary) -> None:
    library.add()
    page.goto("/")
    ask(page, "How many days?")
    page.get_by_role("button", name="Right").click()
    expect(page.locator(".rating .said")).to_contain_text("Ask the question again")
    expect(page.get_by_role("button", name="Right")).to_have_attribute("aria-pressed", "false")


def test_follow_ups_send_what_was_said(page: Page, library: FakeLibrary) -> None:
    library.add()
    page.goto("/")
    ask(page, "First?")
    expect(page.locator(".meta")).to_have_count(1)
    ask(page, "Second?")
    expect(page.locator(".meta")).to_have_count(2)
    assert [turn.question for turn in library.asked[1].history] == ["First?"]
    expect(page.locator(".turn").nth(0).locator(".looked-up")).to_be_hidden()
    expect(page.locator(".turn").nth(1).locator(".looked-up q")).to_have_text("First? Second?")
    page.click("#fresh")
    expect(page.locator(".turn")).to_have_count(0)
    ask(page, "Third?")
    expect(page.locator(".meta")).to_have_count(1)
    assert library.asked[2].history == ()


def test_one_document_is_asked_from_its_page(page: Page, library: FakeLibrary) -> None:
    document_id = library.add(title="A handbook with quite a long name for a telephone")
    page.goto(f"/documents/{document_id}")
    page.click("text=Ask this document")
    page.wait_for_load_state()
    expect(page.locator("h1")).to_have_text("Ask this document.")
    ask(page, "First?")
    expect(page.locator(".meta")).to_have_count(1)
    page.click("#fresh")
    ask(page, "Second?")
    expect(page.locator(".meta")).to_have_count(1)
    page.click("text=Ask all documents")
    page.wait_for_url("**/")
    page.wait_for_load_state()
    ask(page, "Third?")
    expect(page.locator(".meta")).to_have_count(1)
    asked = [question.filters.documents for question in library.asked]
    assert asked == [(document_id,), (document_id,), ()]


def test_passages_read_come_by_page_and_after_the_answer(page: Page, library: FakeLibrary) -> None:
    library.add()
    library.add("travel.txt", b"Travel", title="Travel policy")
    library.passages_each = 3
    page.goto("/")
    ask(page, "word for word")
    expect(page.locator(".meta")).to_be_visible()
    assert page.locator(".passages li .name").all_inner_texts() == [
        "Staff handbook",
        "Travel policy",
    ]
    expect(page.locator(".passages a")).to_have_count(2)
    answer, read = (page.locator(name).bounding_box() for name in (".answer", ".read"))
    assert answer is not None
    assert read is not None
    assert answer["y"] + answer["height"] <= read["y"]
    expect(page.locator(".judge")).to_contain_text("own words that come nearest")
    expect(page.locator(".meta")).not_to_contain_text("%")
    page.locator(".passages a").first.click()
    expect(page.locator("#source mark")).to_be_in_viewport()


def test_a_long_question_is_told_and_not_cut(page: Page, library: FakeLibrary) -> None:
    page.goto("/")
    page.fill("#question", "x" * 201)
    expect(page.locator("#too-long")).to_have_text(
        "201 characters; at most 200 are taken. Shorten it."
    )
    page.keyboard.press("Enter")
    expect(page.locator(".turn")).to_have_count(0)
    expect(page.locator("#question")).to_have_value("x" * 201)
    page.fill("#question", "🌿" * 200)
    expect(page.locator("#too-long")).to_be_empty()
    page.keyboard.press("Enter")
    expect(page.locator(".meta")).to_be_visible()


def test_parameters_are_sent_where_they_are_given(page: Page, library: FakeLibrary) -> None:
    library.add()
    page.goto("/")
    page.locator("#advanced summary").click()
    page.get_by_label("Temperature").fill("0.5")
    page.get_by_label("System prompt").fill("Be brief.")
    ask(page, "How many days?")
    expect(page.locator(".meta")).to_be_visible()
    assert library.asked[0].parameters == {"temperature": 0.5, "system_prompt": "Be brief."}
    # a wrong one is shown, though its place was closed
    page.get_by_role("button", name="Options (2)").click()
    page.get_by_label("Temperature").fill("9")
    page.locator("#advanced summary").click()
    page.get_by_role("button", name="Options (2)").click()
    ask(page, "And then?")
    expect(page.get_by_label("Temperature")).to_be_focused()
    assert len(library.asked) == 1


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
    expect(page.locator(".sentence:visible")).to_have_count(0)


def test_a_failure_is_told(page: Page, library: FakeLibrary) -> None:
    page.goto("/")
    ask(page, "broken")
    expect(page.get_by_role("alert")).to_contain_text("server's log")


def test_it_waits_for_the_models(page: Page, library: FakeLibrary) -> None:
    library.is_ready = False
    page.goto("/")
    expect(page.locator("#not-ready")).to_contain_text("being loaded")
    library.parts = {"llm": "The model is missing."}
    expect(page.locator("#not-ready")).to_contain_text("The model is missing.")
    library.parts = {}
    library.is_ready = True
    expect(page.locator("#not-ready")).to_have_count(0)


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


def test_the_list_keeps_the_focus_while_it_changes(page: Page, library: FakeLibrary) -> None:
    library.add()
    page.goto("/library")
    delete = page.get_by_role("link", name="Delete Staff handbook")
    delete.focus()
    files = [FilePayload(name="a.txt", mimeType="text/plain", buffer=b"Some text.")]
    page.set_input_files("#files", files)
    expect(page.locator("#total")).to_have_text("2 documents")
    expect(page.locator("#documents tr th a")).to_have_text(["a", "Staff handbook"])
    expect(delete).to_be_focused()


def test_what_failed_is_told_where_it_stays(page: Page, library: FakeLibrary) -> None:
    library.add()
    page.goto("/library")
    detail = '{"detail": "The disk is full."}'
    page.route("**/api/v1/documents/**", lambda route: route.fulfill(status=507, body=detail))
    page.get_by_role("link", name="Delete Staff handbook").click()
    page.locator("#confirm .danger").click()
    expect(page.get_by_role("alert")).to_have_text(
        "“Staff handbook” was not deleted: The disk is full."
    )
    expect(page.locator("[data-id] .state")).to_have_text("searchable")
    page.unroute("**/api/v1/documents/**")
    page.get_by_role("link", name="Delete Staff handbook").click()
    page.locator("#confirm .danger").click()
    expect(page.get_by_text("The shelves are empty.")).to_be_visible()
    expect(page.locator("#notice")).to_be_hidden()


def test_a_retry_that_failed_is_told(page: Page, library: FakeLibrary) -> None:
    page.goto("/library")
    files = [FilePayload(name="broken.txt", mimeType="text/plain", buffer=b"Broken text.")]
    page.set_input_files("#files", files)
    expect(page.locator(".documents [data-state='failed']")).to_have_count(1)
    page.route("**/retry", lambda route: route.fulfill(status=507, body='{"title": "Full."}'))
    page.locator(".documents .retry button").click()
    expect(page.get_by_role("alert")).to_have_text("“broken” is not read again: Full.")


def test_a_dropped_folder_is_told_what_to_do(page: Page, library: FakeLibrary) -> None:
    page.goto("/library")
    page.evaluate(
        """() => {
            const files = new DataTransfer();
            files.items.add(new File(["x"], "papers"));
            const folder = { isDirectory: true, name: "papers" };
            DataTransferItem.prototype.webkitGetAsEntry = () => folder;
            document.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true }));
        }"""
    )
    expect(page.locator(".upload")).to_contain_text("This is a folder.")
    expect(page.locator(".upload .again")).to_be_hidden()


def test_a_cited_row_is_marked_in_its_table(page: Page, library: FakeLibrary) -> None:
    lines = ["Prices", *(f"Line {n} of what comes before" for n in range(40)), "Item | Price",
             "Pump | 12 euro"]  # fmt: skip
    blocks, at = [], 0
    for line in lines:
        kind: BlockKind = "row" if " | " in line else "paragraph"
        blocks.append(Block(at, at + len(line), kind, 0, "Item | Price" if "Pump" in line else ""))
        at += len(line) + 1
    text = "\n".join(lines)
    pages = [PageRecord(n, text, tuple(blocks)) for n in (1, 2, 3)]
    document_id = library.add("prices.csv", b"x", "csv", tuple(pages), "Prices")
    start = text.index("Pump")
    page.goto(f"/documents/{document_id}?page=2&start={start}&end={len(text)}#passage")
    expect(page.locator("th")).to_have_text(["Item", "Price"])
    expect(page.locator("mark")).to_have_text(["Pump", "12 euro"])
    mark = page.locator("mark#passage").bounding_box()
    assert mark is not None
    assert mark["y"] > 120  # what stands above it is in view too
    before, after = (page.locator(f"a[rel={name}]").bounding_box() for name in ("prev", "next"))
    assert before is not None
    assert after is not None
    assert abs(before["y"] - after["y"]) < 2


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


def test_a_wide_table_beside_a_page_s_image_scrolls_and_not_the_page(
    page: Page, library: FakeLibrary, tmp_path: Path
) -> None:
    header = "Item | Manufacturer | Replacement | Dimensions | Price"
    text = f"{header}\nPump | Acme | none | 20 cm | 12 euro"
    blocks = (Block(0, len(header), "row"), Block(len(header) + 1, len(text), "row", 0, header))
    record = PageRecord(1, text, blocks, (), "", 612, 792)
    document_id = library.add("prices.pdf", make_pdf(tmp_path / "p.pdf"), "pdf", (record,))
    page.goto(f"/documents/{document_id}?page=1")
    page.wait_for_function("document.querySelector('.sheet img').naturalWidth > 500")
    expect(page.locator("td").last).to_have_text("12 euro")
    # that the page is no wider than its window is seen to by the fixture


def test_what_a_document_says_asks_nobody_for_anything(
    page: Page, address: str, hostile: str
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/")
    ask(page, "How many days?")
    expect(page.locator(".meta")).to_contain_text("SmolLM2-135M-Instruct")
    expect(page.locator(".sentences .words").first).to_contain_text(HOSTILE)
    page.locator(".cite").first.click()
    expect(page.locator("#source .text")).to_contain_text("evil.example")
    assert page.locator("img, iframe, object, embed, .turn script").count() == 0
    leads = page.locator("a").evaluate_all("links => links.map(link => link.href)")
    assert [url for url in [*asked, *leads] if not url.startswith(f"{address}/")] == []


@pytest.mark.parametrize("script", [True, False])
def test_models_are_chosen_and_looked_at(browser: Browser, address: str, script: bool) -> None:
    for width in (1280, 390):
        context = browser.new_context(
            viewport={"width": width, "height": 800}, base_url=address, java_script_enabled=script
        )
        page = context.new_page()
        page.set_default_timeout(8000)
        page.goto("/")
        page.click("nav >> text=Models")
        page.check("text=commercial use")
        page.select_option("[name=language]", "pl")
        page.select_option("[name=task]", "llm")
        page.click("text=Show")
        expect(page.locator("tbody a", has_text="Qwen3-8B")).to_be_visible()
        expect(page.locator("tbody a", has_text="llama-7b")).to_have_count(0)
        expect(page.locator("[name=language]")).to_have_value("pl")
        page.locator("tbody a", has_text="Qwen3-8B").click()
        expect(page.locator("h1")).to_have_text("Qwen3-8B")
        expect(page.locator("#openness")).to_be_visible()
        if script:
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        context.close()
