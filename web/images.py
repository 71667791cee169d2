"""The drawn pages of the app that serves the current request."""

from __future__ import annotations

from flask import Response, current_app

from rag.catalog.documents import bytes_of
from rag.catalog.pages import read_page
from rag.errors import NotFound
from rag.originals import original_path
from web.page_image import PageImages
from web.served import served

_KEY = "cloister-page-images"


def images() -> PageImages:
    """The app's drawn pages."""
    found: PageImages = current_app.extensions.setdefault(_KEY, PageImages())
    return found


def page_image(document_id: str, number: int) -> Response:
    """A page of a PDF as it looks. Raises NotFound for other kinds, DocumentError, Busy."""
    library = served().library
    read_page(library.catalog, document_id, number)
    bytes_hash, kind = bytes_of(library.catalog, document_id)
    if kind != "pdf":
        raise NotFound("Only pages of a PDF have an image. Ask for the page itself for its text.")
    path = original_path(library.settings, bytes_hash)
    return Response(images().get(path, bytes_hash, number), mimetype="image/png")
