"""Turns the stretches of passages that support an answer into its numbered citations."""

from __future__ import annotations

from urllib.parse import quote as percent_encode

from rag.catalog import Catalog
from rag.catalog.pages import boxes_of, read_page
from rag.errors import NotFound
from rag.evidence import Span
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
        passage = span.passage
        start, end = passage.start + span.start, passage.start + span.end
        for citation in self.all:
            if (citation.document_id, citation.page, citation.start, citation.end) == (
                passage.document_id,
                passage.page,
                start,
                end,
            ):
                return citation
        try:
            page = read_page(self._catalog, passage.document_id, passage.page)
        except NotFound:
            return None
        if page.text[start:end] != span.text:
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


def passage_url(document_id: str, page: int, start: int, end: int) -> str:
    """Where the web pages show a stretch of a document's page, marked."""
    name = percent_encode(document_id)
    return f"/documents/{name}?page={page}&start={start}&end={end}#passage"
