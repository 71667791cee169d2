"""Makes the Flask app. It loads no model: the library it is given, or opens, does that later."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.json.provider import DefaultJSONProvider
from flask_openapi3 import Info, OpenAPI

from rag import __version__
from rag.library import Library
from rag.settings import Settings, load_settings
from web import problems, security
from web.api import (
    ask,
    collections,
    comparisons,
    contents,
    described,
    documents,
    feedback,
    health,
    model_in_use,
    models,
    questions,
    votes,
)
from web.api.schemas import Problem
from web.pages import ask as ask_page
from web.pages import compare as compare_page
from web.pages import comparisons as comparisons_page
from web.pages import document as document_page
from web.pages import library as library_page
from web.pages import models as models_page
from web.pages import rating as rating_page
from web.pages import shared
from web.served import attach

# of a request that is no upload; uploads have their own limit
_LARGEST_BODY = 1_000_000


class _Json(DefaultJSONProvider):
    """JSON as it is read, with letters as they are written."""

    ensure_ascii = False
    sort_keys = False

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """As its base, but nesting that is too deep is an error of the input."""
        try:
            return super().loads(s, **kwargs)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


def create_app(library: Library | None = None, settings: Settings | None = None) -> Flask:
    """The app over `library`, or over the one that `settings` name, opened here but not loaded.

    Raises StorageError when the library cannot be opened.
    """
    app = OpenAPI(
        "web",
        info=Info(
            title="Cloister",
            version=__version__,
            description="Answers from private documents, with sources that can be checked.",
        ),
        doc_ui=False,
        validation_error_status=400,
        validation_error_model=Problem,
        validation_error_callback=problems.refuse_invalid,
    )
    app.json = _Json(app)
    app.config["MAX_CONTENT_LENGTH"] = _LARGEST_BODY
    attach(app, library or Library(settings or load_settings()))
    security.install(app)
    problems.install(app)
    for api in (
        ask,
        feedback,
        collections,
        documents,
        contents,
        models,
        model_in_use,
        comparisons,
        questions,
        votes,
        health,
    ):
        app.register_api(api.api)
    for pages in (
        described,
        ask_page,
        rating_page,
        compare_page,
        library_page,
        document_page,
        models_page,
        comparisons_page,
    ):
        app.register_blueprint(pages.pages)
    shared.install(app)
    return app
