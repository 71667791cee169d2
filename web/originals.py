"""Gives a document's original bytes out, never in a form that a browser would run."""

from __future__ import annotations

from flask import Response, send_file

from ingest.uploads import clean_name
from rag.catalog.documents import bytes_of, get_document
from rag.errors import StorageError, UsageError
from rag.library import Library
from rag.originals import original_path
from rag.records import Document

_PDF = "pdf"
# as which an original may come
MEDIA_TYPES = ("application/pdf", "text/plain", "application/octet-stream")
# shown as text where a browser insists; all others are bytes to be saved
_TEXT_KINDS = frozenset(
    {"text", "markdown", "csv", "html", "eml", "json", "code", "xml", "notebook"}
)


def send_original(library: Library, document_id: str) -> Response:
    """The document's bytes. A PDF may be shown by the browser, all others are saved.

    Raises NotFound, StorageError.
    """
    document = get_document(library.catalog, document_id)
    bytes_hash, kind = bytes_of(library.catalog, document_id)
    path = original_path(library.settings, bytes_hash)
    try:
        response = send_file(
            path,
            mimetype=_media_type(kind),
            as_attachment=kind != _PDF,
            download_name=_download_name(document),
            etag=False,
            last_modified=None,
            max_age=0,
        )
    except FileNotFoundError as error:
        raise StorageError(
            "The original is missing from the library. Run “cloister ingest check”, or add the "
            "file again."
        ) from error
    # even a browser that ignores the type must not run it
    if kind != _PDF:
        response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def _download_name(document: Document) -> str:
    """A synced file may have any name that its file system takes, with line ends too."""
    try:
        return clean_name(document.source)
    except UsageError:
        return document.id


def _media_type(kind: str) -> str:
    pdf, text, other = MEDIA_TYPES
    if kind == _PDF:
        return pdf
    return text if kind in _TEXT_KINDS else other
