"""A comparison of models as a request asks for it, by a form with a file or as JSON."""

from __future__ import annotations

import json
from pathlib import Path, PurePath

from flask import request
from pydantic import ValidationError
from werkzeug.exceptions import UnsupportedMediaType

from rag.comparing.service import Progress
from rag.errors import UsageError
from rag.evaluation.questions import parse_questions
from web.api.comparison_schemas import ComparisonInput
from web.problems import read_json, refuse_invalid
from web.served import served

# of a file of questions, with the form around it
_MOST_BYTES = 20_000_000
_FIELDS = {"models", "collection", "again"}
_NAME = "questions.jsonl"


def begin_comparison() -> Progress:
    """Begin what the current request asks for. Raises as `Comparisons.begin`, and UsageError."""
    request.max_content_length = _MOST_BYTES
    if request.mimetype == "multipart/form-data":
        return _of_form()
    if request.mimetype != "application/json":
        raise UnsupportedMediaType(
            "Send JSON, or a form with the file “questions” (multipart/form-data)."
        )
    try:
        body = ComparisonInput.model_validate(read_json())
    except ValidationError as error:
        refuse_invalid(error)
        raise
    lines = "\n".join(json.dumps(line) for line in body.questions)
    # whatever the file was that they come from
    items = parse_questions(lines, Path(_NAME))
    name = _plain(body.name)
    return served().comparisons.begin(body.models, items, name, body.collections, body.again)


def _of_form() -> Progress:
    unknown = (set(request.files) - {"questions"}) | (set(request.form) - _FIELDS)
    if unknown:
        raise UsageError(f"“{min(unknown)[:80]}” is not a field of this request.")
    file = request.files.get("questions")
    if file is None or not file.filename:
        raise UsageError(
            "The request holds no file of questions. Send one as “questions”: JSON lines, or a "
            "table (CSV, TSV) with the columns question and answer."
        )
    try:
        text = file.stream.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file.filename[:80]} is not text in UTF-8.") from error
    collections = [name for name in request.form.getlist("collection") if name] or None
    again = request.form.get("again", "") not in ("", "0", "false")
    name = _plain(file.filename)
    items = parse_questions(text, Path(name))
    models = request.form.getlist("models")
    return served().comparisons.begin(models, items, name, collections, again)


def _plain(name: str) -> str:
    """A file's name alone, since some browsers send a whole path."""
    return PurePath(name.replace("\\", "/")).name[:120] or _NAME
