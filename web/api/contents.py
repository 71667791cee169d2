"""What is in a document: its original bytes and its pages."""

from __future__ import annotations

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag

from rag.catalog.pages import boxes_of, read_page
from web.api.described import problems
from web.api.schemas import DocumentPath, PageOutput, PagePath, SpanQuery
from web.images import page_image
from web.originals import MEDIA_TYPES, send_original
from web.served import served

api = APIBlueprint(
    "contents",
    __name__,
    url_prefix="/api/v1",
    abp_tags=[Tag(name="Documents")],
    abp_responses=problems(400, 403, 404),
)
_BYTES = {"schema": {"type": "string", "format": "binary"}}


@api.get(
    "/documents/<document_id>/content",
    responses={200: {"content": dict.fromkeys(MEDIA_TYPES, _BYTES)}},
)
def content(path: DocumentPath) -> Response:
    """The original bytes, to be saved; a PDF may be shown."""
    return send_original(served().library, path.document_id)


@api.get("/documents/<document_id>/pages/<int:number>", responses={200: PageOutput})
def page(path: PagePath, query: SpanQuery) -> Response:
    """A page's text. Offsets count Unicode code points; `end` is exclusive."""
    found = read_page(served().library.catalog, path.document_id, path.number)
    blocks = [
        {"start": b.start, "end": b.end, "kind": b.kind, "level": b.level} for b in found.blocks
    ]
    return jsonify(
        {
            "document_id": path.document_id,
            "page": found.number,
            "label": found.label,
            "text": found.text,
            "width": found.width,
            "height": found.height,
            "blocks": blocks,
            "boxes": boxes_of(found, query.start, query.end),
        }
    )


@api.get(
    "/documents/<document_id>/pages/<int:number>/image",
    responses={200: {"content": {"image/png": _BYTES}}, **problems(422, 503)},
)
def image(path: PagePath) -> Response:
    """A page of a PDF as it looks."""
    return page_image(path.document_id, path.number)
