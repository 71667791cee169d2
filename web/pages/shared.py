"""What every page's template may use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Flask, redirect
from werkzeug.wrappers import Response

from rag.catalog.collections import collection_names
from rag.disagreement import introduced
from rag.durations import duration
from rag.errors import ModelError
from rag.models.footprint import count_words
from rag.models.server.address import read_address
from rag.records import DEFAULT_COLLECTION
from rag.settings import Settings
from web.bidi import is_right_to_left, shown
from web.commands import on_page
from web.readiness import LOADING, reason_not_ready
from web.rendering import by_page, human_bytes, newer_versions
from web.served import served

SUPPORT_LABELS = {
    "supported": "supported",
    "quoted": "quoted",
    "unsupported": "not supported",
    "catalog": "from the catalog",
}
ONLY_QUOTED = (
    "These are the documents' own words that come nearest to the question. "
    "Whether they answer it is for you to judge."
)
# other languages are shown by their tags
LANGUAGES = {
    **{"ar": "Arabic", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek"},
    **{"en": "English", "es": "Spanish", "fi": "Finnish", "fr": "French", "he": "Hebrew"},
    **{"hi": "Hindi", "hu": "Hungarian", "it": "Italian", "ja": "Japanese", "ko": "Korean"},
    **{"nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian"},
    **{"ru": "Russian", "sv": "Swedish", "tr": "Turkish", "uk": "Ukrainian", "zh": "Chinese"},
}
STATE_LABELS = {
    "pending": "waiting",
    "parsing": "reading",
    "embedding": "indexing",
    "live": "searchable",
    "failed": "failed",
}


def install(app: Flask) -> None:
    """Give the templates their filters and values."""
    app.jinja_env.filters["by_page"] = by_page
    app.jinja_env.filters["duration"] = duration
    app.jinja_env.filters["count_words"] = count_words
    app.jinja_env.filters["human_bytes"] = human_bytes
    app.jinja_env.filters["newer_versions"] = newer_versions
    app.jinja_env.filters["introduced"] = introduced
    app.jinja_env.filters["language_name"] = language_name
    app.jinja_env.filters["on_page"] = on_page
    app.jinja_env.filters["shown"] = shown
    app.jinja_env.tests["right_to_left"] = is_right_to_left
    app.jinja_env.globals.update(
        source_url=source_url,
        support_labels=SUPPORT_LABELS,
        state_labels=STATE_LABELS,
        only_quoted=ONLY_QUOTED,
    )
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.context_processor(_values)
    app.add_url_rule("/favicon.ico", "favicon", _favicon)


def language_name(tag: str) -> str:
    """What a language is called in English; the tag itself for one that is rare."""
    return LANGUAGES.get(tag, tag)


def source_url(place: Mapping[str, Any]) -> str:
    """Where a citation or passage is shown in its document."""
    span = urlencode({name: place[name] for name in ("page", "start", "end")})
    return f"/documents/{place['document_id']}?{span}#passage"


def _values() -> dict[str, Any]:
    library = served().library
    return {
        "not_ready": reason_not_ready(library) or (None if library.ready else LOADING),
        "settings": library.settings,
        "llm_server": _llm_server(library.settings),
        "collections": collection_names(library.catalog),
        "default_collection": DEFAULT_COLLECTION,
    }


def _llm_server(settings: Settings) -> str:
    """The host and port of an LLM server on another machine; empty where all stays on this one."""
    if not settings.llm_url or settings.llm_model == "none":
        return ""
    try:
        address = read_address(settings.llm_url)
    except ModelError:  # nothing is sent there
        return ""
    return "" if address.loopback else address.named


def _favicon() -> Response:
    return redirect("/static/mark.svg", code=301)
