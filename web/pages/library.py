"""The library page: what is in, and putting in and taking out."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from rag.catalog.documents import count_states, get_document, remove
from rag.errors import CloisterError
from web.documents import MOST_WORDS, list_part, retry
from web.images import images
from web.problems import problem
from web.receipts import receipts
from web.served import served
from web.uploads import Receipt, receive_request

pages = Blueprint("library_page", __name__)
_PART = 50


@pages.get("/library")
def library() -> str:
    """The documents, a part at a time; after an upload by form also what became of its files."""
    return _page(receipts().find(request.args.get("receipt", "")))


@pages.post("/library")
def add() -> Response | tuple[str, int]:
    """Take files in, for a browser without JavaScript; then the list is shown, with what became."""
    try:
        receipt = receive_request()
    except CloisterError as error:
        return _page(problem=problem(error)), error.status
    return redirect(f"/library?receipt={receipts().keep(receipt)}", code=303)


@pages.get("/documents/<document_id>/remove")
def ask_removal(document_id: str) -> str:
    """Ask whether a document is really to go."""
    document = get_document(served().library.catalog, document_id)
    return render_template("remove.html", document=document, back=_back())


@pages.post("/documents/<document_id>/remove")
def delete(document_id: str) -> Response:
    """Remove a document."""
    remove(served().library.catalog, document_id)
    images().forget()
    served().wake()
    return redirect(_back(), code=303)


@pages.post("/documents/<document_id>/retry")
def again(document_id: str) -> Response:
    """Read a failed document again."""
    retry(served().library.catalog, document_id)
    served().wake()
    return redirect(_back(), code=303)


def _back() -> str:
    """The part of the list that the current request comes from."""
    return "/library" + _query(q=_words(), cursor=request.values.get("cursor", ""))


def _words() -> str:
    return request.values.get("q", "").strip()[:MOST_WORDS]


def _query(**given: str | None) -> str:
    """The end of an address that says what is given; empty where nothing is."""
    said = urlencode({name: value for name, value in given.items() if value})
    return f"?{said}" if said else ""


def _page(receipt: Receipt | None = None, **values: Any) -> str:
    catalog = served().library.catalog
    cursor = request.args.get("cursor")
    words = _words()
    part, following = list_part(catalog, _PART, cursor, words=words)
    states = count_states(catalog)
    states.pop("removed", None)
    return render_template(
        "library.html",
        documents=part,
        words=words,
        most_words=MOST_WORDS,
        cursor=cursor,
        here_again=_query(q=words, cursor=cursor),
        beginning=_query(q=words),
        next=_query(q=words, cursor=following) if following else "",
        total=sum(states.values()),
        receipt=receipt,
        **values,
    )
