"""The document page: a page's text with the cited passage marked, beside how it looks."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from rag.catalog import Catalog
from rag.catalog.documents import get_document, list_documents
from rag.catalog.failures import left_out
from rag.catalog.pages import boxes_of, page_numbers, read_page
from rag.errors import NotFound
from rag.parsed import Page
from web.rendering import show_page
from web.served import served

pages = Blueprint("document_page", __name__)
# of an archive so many files are listed, and as many that were left out
_LISTED = 200


@pages.get("/documents/<document_id>")
def document(document_id: str) -> str:
    """A page of the document; `start` and `end` mark a passage."""
    catalog = served().library.catalog
    found = get_document(catalog, document_id)
    numbers = page_numbers(catalog, document_id)
    page = _page(catalog, document_id, [number for number, _ in numbers])
    within = {
        "parent": get_document(catalog, found.parent) if found.parent else None,
        "inside": list_documents(catalog, _LISTED, parent=document_id),
        "left_out": left_out(catalog, document_id, _LISTED),
    }
    if page is None:
        return render_template("document.html", document=found, page=None, **within)
    start, end = _number("start", 0), _number("end", 0)
    at = [number for number, _ in numbers].index(page.number)
    return render_template(
        "document.html",
        document=found,
        page=page,
        shown=show_page(page, start, end),
        marked=0 <= start < min(end, len(page.text)),
        boxes=boxes_of(page, start, end),
        numbers=numbers,
        before=numbers[at - 1][0] if at > 0 else None,
        after=numbers[at + 1][0] if at + 1 < len(numbers) else None,
        image=found.kind == "pdf" and page.width > 0 and page.height > 0,
        **within,
    )


def _page(catalog: Catalog, document_id: str, numbers: list[int]) -> Page | None:
    """The page asked for, the first by default; None where the document has none to show yet."""
    if not numbers:
        return None
    wanted = _number("page", numbers[0])
    if wanted not in numbers:
        raise NotFound(
            f"This document has no page {wanted}; its pages are {numbers[0]} to {numbers[-1]}."
        )
    return read_page(catalog, document_id, wanted)


def _number(name: str, default: int) -> int:
    given = request.args.get(name, "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else default
