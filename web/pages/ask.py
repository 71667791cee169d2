"""The ask page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, render_template, request

from rag.catalog.answers import read_answer
from rag.catalog.collections import asked_parameters
from rag.catalog.documents import count_states, get_document
from rag.catalog.feedback import MOST_COMMENT, MOST_CORRECT, feedback_on
from rag.errors import CloisterError, NotFound
from rag.parameters import check_parameters, read_parameters
from rag.questions import checked
from rag.records import NO_FILTERS, Document, Filters, Question
from web.answering import Answering
from web.asker import asker
from web.pages.model_options import model_options
from web.pages.parameters import parameter_fields
from web.problems import problem
from web.served import served

pages = Blueprint("ask_page", __name__)


@pages.get("/")
def ask() -> str:
    """The empty page, for all documents or, with `document`, for one and what is in it."""
    return _page(_scope(request.args.get("document")))


@pages.post("/ask")
def answer() -> tuple[str, int]:
    """The whole answer at once, for a browser without JavaScript."""
    text = request.form.get("question", "")
    only = None
    try:
        only = _scope(request.form.get("document"))
        parameters = read_parameters(request.form)
        result = _answer(text, request.form.get("collection") or None, only, parameters)
    except CloisterError as error:
        return _page(only, question=text, problem=problem(error)), error.status
    return _page(only, **result), 200


@pages.get("/answers/<answer_id>")
def record(answer_id: str) -> str:
    """An answer as it was recorded."""
    try:
        answer = read_answer(served().library.catalog, answer_id)
    except NotFound as error:
        raise NotFound(
            "There is no such answer. One that holds text of a document is not kept, or goes, "
            "when that document is removed or changes. Ask the question again."
        ) from error
    asked = {name: value for name, value in answer.get("filters", {}).items() if value}
    return render_template(
        "answer.html",
        answer=answer,
        filters=asked,
        said=feedback_on(served().library.catalog, answer_id),
        most_comment=MOST_COMMENT,
        most_correct=MOST_CORRECT,
    )


def _scope(document_id: str | None) -> Document | None:
    """The one document that is asked, if it is one. Raises NotFound."""
    return get_document(served().library.catalog, document_id) if document_id else None


def _answer(
    text: str, collection: str | None, only: Document | None, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    here = served()
    of_collection = asked_parameters(here.library.catalog, [collection] if collection else None)
    check_parameters(parameters, here.library.settings, of_collection)
    question = Question(
        text=checked(text, here.library.settings),
        collections=(collection,) if collection else None,
        parameters=parameters,
        filters=Filters(documents=(only.id,)) if only else NO_FILTERS,
        asker=asker(),
        model=request.form.get("model", "").strip(),
    )
    last = Answering(here, question).last()
    if last.name == "error":
        return {"question": text, "problem": last.data}
    return {"answer": last.data}


def _page(only: Document | None, **values: Any) -> str:
    states = count_states(served().library.catalog)
    searchable = states.pop("live", 0)
    waiting = sum(states.get(name, 0) for name in ("pending", "parsing", "embedding"))
    library = served().library
    return render_template(
        "ask.html",
        only=only,
        searchable=searchable,
        waiting=waiting,
        fields=list(parameter_fields(library.settings, request.form)),
        models=model_options(library, request.form.get("model", "")),
        **values,
    )
