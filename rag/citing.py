"""Turns the stretches of passages that support an answer into its numbered citations."""

from __future__ import annotations

from urllib.parse import quote as percent_encode

from rag.catalog import Catalog
from rag.catalog.pages import boxes_of, read_page
from rag.errors import NotFound
from rag.evidence import Span
from rag.parsed import Page
from rag.records import Citation


class Citations:
    """The numbered citations of one answer; the same evidence has one number."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.all: list[Citation] = []

    def cite(self, span: Span) -> Citation | None:
        """The citation of a stretch of a passage, new or already there.

        None where the document was removed or has changed since the passage was found.
        """
        passage, (start, end) = span.passage, span.on_page
        for citation in self.all:
            if (citation.document_id, citation.page, citation.start, citation.end) == (
                passage.document_id,
                passage.page,
                start,
                end,
            ):
                return citation
        page = page_now(self._catalog, span)
        if page is None:
            return None
        citation = Citation(
            n=len(self.all) + 1,
            document_id=passage.document_id,
            title=passage.title,
            source=passage.source,
            page=passage.page,
            start=start,
            end=end,
            quote=span.text,
            chunk_id=passage.chunk_id,
            url=passage_url(passage.document_id, passage.page, start, end),
            boxes=boxes_of(page, start, end),
        )
        self.all.append(citation)
        return citation


def page_now(catalog: Catalog, span: Span) -> Page | None:
    """The page of a stretch as its document has it now; None where the stretch has gone."""
    start, end = span.on_page
    try:
        page = read_page(catalog, span.passage.document_id, span.passage.page)
    except NotFound:
        return None
    return page if page.text[start:end] == span.text else None


def passage_url(document_id: str, page: int, start: int, end: int) -> str:
    """Where the web pages show a stretch of a document's page, marked."""
    name = percent_encode(document_id)
    return f"/documents/{name}?page={page}&start={start}&end={end}#passage"
