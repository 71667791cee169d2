"""The ask page."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, request

from rag.catalog.answers import read_answer
from rag.catalog.documents import count_states
from rag.errors import CloisterError, NotFound
from rag.questions import checked
from rag.records import Question
from web.answering import Answering
from web.problems import problem
from web.served import served

pages = Blueprint("ask_page", __name__)


@pages.get("/")
def ask() -> str:
    """The empty page."""
    return _page()


@pages.post("/ask")
def answer() -> tuple[str, int]:
    """The whole answer at once, for a browser without JavaScript."""
    text = request.form.get("question", "")
    try:
        result = _answer(text, request.form.get("collection") or None)
    except CloisterError as error:
        return _page(question=text, problem=problem(error)), error.status
    return _page(**result), 200


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
    sure = float(answer["confidence"])
    chance = 1.0 - sure if answer["abstained"] else sure
    return render_template("answer.html", answer=answer, chance=chance)


def _answer(text: str, collection: str | None) -> dict[str, Any]:
    here = served()
    chosen = (collection,) if collection else None
    question = Question(text=checked(text, here.library.settings), collections=chosen)
    answering = Answering(here, question)
    try:
        last = answering.last()
    finally:
        answering.stop()
    if last.name == "error":
        return {"question": text, "problem": last.data}
    return {"answer": last.data}


def _page(**values: Any) -> str:
    states = count_states(served().library.catalog)
    searchable = states.pop("live", 0)
    waiting = sum(states.get(name, 0) for name in ("pending", "parsing", "embedding"))
    return render_template("ask.html", searchable=searchable, waiting=waiting, **values)
