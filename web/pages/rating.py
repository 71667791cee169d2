"""Saying of an answer that it is right or wrong, for a browser without JavaScript."""

from __future__ import annotations

import contextlib

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response

from rag.catalog.feedback import RATINGS, rate, take_back
from rag.errors import NotFound, UsageError
from web.served import served

pages = Blueprint("rating_page", __name__)
_NONE = "none"


@pages.post("/answers/<answer_id>/rating")
def say(answer_id: str) -> Response:
    """Note the rating, or with “none” take it back; then the answer's record is shown."""
    rating = request.form.get("rating", "")
    if rating not in (*RATINGS, _NONE):
        raise UsageError("Choose whether the answer is right or wrong.")
    catalog = served().library.catalog
    if rating == _NONE:
        with contextlib.suppress(NotFound):  # it is as it was wished
            take_back(catalog, answer_id)
    else:
        # what the form has no field for stays as it is
        said = {
            name: request.form[name].replace("\r\n", "\n")
            for name in ("comment", "correct_answer")
            if name in request.form
        }
        rate(catalog, answer_id, rating, **said)
    return redirect(url_for("ask_page.record", answer_id=answer_id, _anchor="rating"), code=303)
