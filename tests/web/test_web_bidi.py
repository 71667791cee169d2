"""Text from right to left, and characters that would turn what is around them."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from rag.parsed import Block
from rag.parsed import Page as PageRecord
from tests.web.browsing import IN_A_BROWSER, ask
from tests.web.fakes import FakeLibrary, page_of
from web.bidi import shown

TURNED = "Invoice \u202egpj.exe and \u2066more \u2069\u2069end"
HEBREW = "ימי חופשה שלא נוצלו"

# the words of an element, line by line and from left to right
PLACES = """(element, words) => {
    const texts = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    const found = [];
    while (texts.nextNode()) {
        for (const word of words) {
            const at = texts.currentNode.data.indexOf(word);
            if (at < 0) continue;
            const range = document.createRange();
            range.setStart(texts.currentNode, at);
            range.setEnd(texts.currentNode, at + word.length);
            const { left, top } = range.getBoundingClientRect();
            found.push([word, left, top]);
        }
    }
    const below = (a, b) => (Math.abs(a[2] - b[2]) > 4 ? a[2] - b[2] : 0);
    return found.sort((a, b) => below(a, b) || a[1] - b[1]).map(([word]) => word);
}"""


def reads(shown: Locator) -> list[str]:
    """The words as the eye meets them."""
    words: list[str] = shown.evaluate(PLACES, ["Invoice", "gpj", "exe", "and", "more", "end"])
    return words


def test_no_character_is_added_or_lost() -> None:
    text = str(shown("a<\u202eb"))
    assert text == 'a&lt;<span class="steer" data-name="RLO">\u202e</span>b'
    assert str(shown("שלום & peace")) == "שלום &amp; peace"


class TestInABrowser:
    """What is seen."""

    pytestmark = IN_A_BROWSER

    def test_what_would_turn_the_text_turns_nothing(self, page: Page, library: FakeLibrary) -> None:
        in_order = ["Invoice", "gpj", "exe", "and", "more", "end"]
        document_id = library.add("turned.txt", b"x", pages=(page_of(TURNED),), title=TURNED)
        start, end = TURNED.index("and"), TURNED.index("end")
        page.goto(f"/documents/{document_id}?page=1&start={start}&end={end}")
        for shown_text in (page.locator("h1"), page.locator(".block")):
            expect(shown_text).to_have_text(TURNED, use_inner_text=False)
            assert reads(shown_text) == in_order
        assert (
            page.locator("mark#passage").evaluate("mark => mark.textContent") == (TURNED[start:end])
        )
        copied = page.locator(".block").evaluate(
            "block => (getSelection().selectAllChildren(block), getSelection().toString())"
        )
        assert copied == TURNED
        page.goto("/library")
        title = page.locator("#documents th a")
        assert title.evaluate("link => link.textContent") == TURNED
        assert reads(title) == in_order
        page.goto("/")
        ask(page, TURNED)
        expect(page.locator(".meta")).to_be_visible()
        for selector in (".question", ".passages .name"):
            assert reads(page.locator(selector)) == in_order
        page.locator(".cite").first.click()
        expect(page.locator("#source .block")).to_be_visible()
        for selector in ("#source h2", "#source .block"):
            assert reads(page.locator(selector)) == in_order

    def test_text_from_right_to_left_is_laid_out_so(self, page: Page, library: FakeLibrary) -> None:
        text = f"{HEBREW}\n{HEBREW} | 12"
        blocks = (Block(0, len(HEBREW)), Block(len(HEBREW) + 1, len(text), "row"))
        pages = (PageRecord(1, text, blocks),)
        document_id = library.add("leave.txt", b"x", "text", pages, HEBREW, language="he")
        direction = "element => getComputedStyle(element).direction"
        page.goto(f"/documents/{document_id}")
        for selector in ("h1", ".document-text", ".block:not(.table)", "td >> nth=0"):
            assert page.locator(selector).evaluate(direction) == "rtl", selector
        first, second = (page.locator("td").nth(n).bounding_box() for n in (0, 1))
        assert first is not None
        assert second is not None
        assert first["x"] > second["x"]
        page.goto("/")
        ask(page, HEBREW)
        expect(page.locator(".meta")).to_be_visible()
        for selector in (".question", ".passages .name"):
            assert page.locator(selector).evaluate(direction) == "rtl", selector
        assert page.locator(".words").last.evaluate(direction) == "ltr"

    def test_a_source_keeps_its_language(self, page: Page, library: FakeLibrary) -> None:
        library.add("a.txt", b"a", pages=(page_of(HEBREW),), title="A", language="he")
        library.add("b.txt", b"b", pages=(page_of("Ohne"),), title="B", language="de")
        page.goto("/")
        ask(page, "How many days?")
        expect(page.locator(".meta")).to_be_visible()
        text = page.locator("#source .text")
        for number, language in enumerate(("he", "de")):
            page.locator(".passages a").nth(number).click()
            expect(text).to_have_attribute("lang", language)
            assert text.get_attribute("dir") == ("rtl" if language == "he" else None)
            page.keyboard.press("Escape")
