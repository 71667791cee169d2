"""One question answered by two models, side by side, without their names until a person votes."""

from __future__ import annotations

import random
import secrets
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from rag.catalog.answers import read_answer
from rag.catalog.votes import cast_vote, model_of, vote_on, votes
from rag.errors import CloisterError, NotFound, UsageError
from rag.evaluation.votes import Pair, tally
from rag.model_choices import model_choices
from rag.model_pick import NONE, joined
from rag.questions import checked
from rag.records import Question
from web.answering import Answering
from web.asker import asker
from web.problems import problem
from web.served import served

pages = Blueprint("compare_page", __name__)
_SEEDS = 2**31
# which answer is shown as which, and what may be said of both
_CHOICES = (
    ("first", "A is better"),
    ("second", "B is better"),
    ("both", "Both are right"),
    ("neither", "Both are wrong"),
)


@pages.get("/compare")
def compare() -> tuple[str, int]:
    """The empty page, or with `first` and `second` these answers; names once there is a vote."""
    first, second = request.args.get("first"), request.args.get("second")
    if not first or not second:
        return _page(), 200
    try:
        return _shown(first, second), 200
    except CloisterError as error:
        return _page(problem=problem(error)), error.status


@pages.post("/compare")
def ask() -> Response | tuple[str, int]:
    """Have both models answer; then both answers are shown in an order that is drawn."""
    try:
        models = _models(request.form.get("one", ""), request.form.get("two", ""))
        seed = secrets.randbelow(_SEEDS)
        if is_swapped(seed):
            models.reverse()
        first, second = (_answer(model) for model in models)
    except CloisterError as error:
        return _page(problem=problem(error)), error.status
    shown = urlencode({"first": first["id"], "second": second["id"], "seed": seed})
    return redirect(f"/compare?{shown}", code=303)


@pages.post("/compare/vote")
def vote() -> Response | tuple[str, int]:
    """Note the vote; then the names are shown."""
    first, second = request.form.get("first", ""), request.form.get("second", "")
    given = request.form.get("seed", "")
    seed = int(given) if given.isascii() and given.isdigit() and len(given) < 11 else None
    try:
        cast_vote(
            served().library.catalog, first, second, request.form.get("vote", ""), _in_range(seed)
        )
    except CloisterError as error:
        return _page(problem=problem(error)), error.status
    return redirect(f"/compare?{urlencode({'first': first, 'second': second})}", code=303)


def is_swapped(seed: int) -> bool:
    """Whether a seed puts the model that was chosen second in the first place."""
    return random.Random(seed).random() < 0.5


def _in_range(seed: int | None) -> int | None:
    return seed if seed is not None and seed < _SEEDS else None


def _models(one: str, two: str) -> list[str]:
    """Two models that may be asked. Raises UsageError and NotFound."""
    library = served().library
    if not one or not two:
        raise UsageError("Choose two models to compare.")
    found = [library.other_llms.resolve(name) for name in (one, two)]
    if found[0] == found[1]:
        raise UsageError("Both choices are the same model. Choose two.")
    return found


def _answer(model: str) -> Mapping[str, Any]:
    """The recorded answer of a model to the question of the form."""
    here = served()
    collection = request.form.get("collection") or None
    question = Question(
        text=checked(request.form.get("question", ""), here.library.settings),
        collections=(collection,) if collection else None,
        asker=asker(),
        model=model,
    )
    last = Answering(here, question).last()
    if last.name == "error":
        raise CloisterError(str(last.data.get("detail") or last.data.get("title")))
    if last.data.get("answered_from") == "catalog":
        raise UsageError(
            "This question is about the library itself, which the catalog answers and no model. "
            "Ask for something that the documents say."
        )
    return last.data


def _shown(first: str, second: str) -> str:
    catalog = served().library.catalog
    try:
        answers = [read_answer(catalog, name) for name in (first, second)]
    except NotFound as error:
        raise NotFound(
            "One of these answers is not kept: a document that it holds text of went or changed. "
            "Ask both models again."
        ) from error
    cast = vote_on(catalog, first, second)
    return render_template(
        "compare.html",
        question=answers[0]["question"],
        sides=list(zip("AB", answers, strict=True)),
        names=[model_of(answer) for answer in answers] if cast else [],
        cast=cast,
        choices=_CHOICES,
        seed=request.args.get("seed", ""),
        so_far=_so_far(answers) if cast else None,
        **_form(sorted(_named(answer) for answer in answers), answers[0]["collections"]),
    )


def _so_far(answers: Sequence[Mapping[str, Any]]) -> Pair | None:
    """What the votes on these two models come to."""
    models = {model_of(answer) for answer in answers}
    pairs = tally(votes(served().library.catalog))
    return next((pair for pair in pairs if {pair.first, pair.second} == models), None)


def _named(answer: Mapping[str, Any]) -> str:
    """An answer's model as a question names it."""
    return joined(answer["model"]["id"], (answer["model"]["adapter"] or "").partition("@")[0])


def _page(**values: Any) -> str:
    question = request.form.get("question", "")
    return render_template("compare.html", question=question, sides=[], **_form(), **values)


def _form(before: Sequence[str] = (), asked: Sequence[str] = ()) -> dict[str, Any]:
    """What the form offers, and what was chosen in it, or `before` of what was `asked`."""
    names = [one.name for one in model_choices(served().library, compared=False)]
    chosen = [request.form.get(name, "") for name in ("one", "two")]
    if not any(chosen):
        chosen = list(before) or names[:2]
    collection = asked[0] if len(asked) == 1 else request.form.get("collection", "")
    return {"models": names, "chosen": chosen, "quotes": NONE, "chosen_collection": collection}
