"""The ask page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, redirect, render_template, request
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from rag.catalog.answers import read_answer
from rag.catalog.collections import asked_parameters
from rag.catalog.documents import count_states, get_document
from rag.catalog.feedback import MOST_COMMENT, MOST_CORRECT, feedback_on
from rag.errors import CloisterError, NotFound
from rag.parameters import check_parameters, read_parameters
from rag.questions import checked
from rag.records import NO_FILTERS, Document, Filters, Question, Turn
from web.answering import Answering
from web.asker import asker
from web.pages.conversation import FIELD, address_of, answers_of, history_of
from web.pages.model_options import model_options
from web.pages.parameters import parameter_fields
from web.problems import problem
from web.served import served

pages = Blueprint("ask_page", __name__)
_GONE = (
    "There is no such answer. One that holds text of a document is not kept, or goes, when that "
    "document is removed or changes. Ask the question again."
)


@pages.get("/")
def ask() -> tuple[str, int]:
    """The page for all documents or, with `document`, for one and what is in it.

    It is empty, or with `answer` (several times) shows these, from which the next one goes on.
    """
    only = _scope(request.args.get("document"))
    try:
        return _page(only, turns=_so_far(request.args)), 200
    except NotFound as error:
        return _page(only, problem=problem(error)), error.status


@pages.post("/ask")
def answer() -> Response | tuple[str, int]:
    """Answer, for a browser without JavaScript; then the page of the conversation is shown."""
    text = request.form.get("question", "")
    only, turns = None, []
    try:
        only = _scope(request.form.get("document"))
        turns = _so_far(request.form)
        parameters = read_parameters(request.form)
        result = _answer(
            text, request.form.get("collection") or None, only, parameters, history_of(turns)
        )
    except CloisterError as error:
        page = _page(only, turns=turns, question=text, problem=problem(error))
        return page, error.status
    if "problem" in result:
        return _page(only, turns=turns, **result), 200
    turns.append(result["answer"])
    address = address_of(served().library.catalog, turns, request.form)
    # what cannot be shown again is shown now
    return redirect(address, code=303) if address else (_page(only, turns=turns), 200)


@pages.get("/answers/<answer_id>")
def record(answer_id: str) -> str:
    """An answer as it was recorded."""
    try:
        answer = read_answer(served().library.catalog, answer_id)
    except NotFound as error:
        raise NotFound(_GONE) from error
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


def _so_far(given: MultiDict[str, str]) -> list[Mapping[str, Any]]:
    """The answers of the conversation. Raises NotFound where the last one is gone."""
    try:
        return answers_of(served().library.catalog, given.getlist(FIELD))
    except NotFound as error:
        raise NotFound(_GONE) from error


def _answer(
    text: str,
    collection: str | None,
    only: Document | None,
    parameters: Mapping[str, Any],
    history: tuple[Turn, ...],
) -> dict[str, Any]:
    here = served()
    of_collection = asked_parameters(here.library.catalog, [collection] if collection else None)
    check_parameters(parameters, here.library.settings, of_collection)
    question = Question(
        text=checked(text, here.library.settings),
        collections=(collection,) if collection else None,
        history=history,
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
    given = request.values
    return render_template(
        "ask.html",
        only=only,
        # a document that has gone stays what is asked: else all were, at the next try
        lost="" if only else given.get("document", ""),
        chosen_collection=given.get("collection", ""),
        searchable=searchable,
        waiting=waiting,
        fields=list(parameter_fields(library.settings, given)),
        models=model_options(library, given.get("model", "")),
        **values,
    )
