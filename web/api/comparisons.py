"""Comparisons of models: begin one, see how far it is, read what came out, stop and delete."""

from __future__ import annotations

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag

from rag.records import to_json
from web.api.comparison_schemas import (
    COMPARISON_BODY,
    ComparisonOutput,
    ComparisonPath,
    ComparisonsOutput,
    ProgressOutput,
)
from web.api.described import problems
from web.comparing import begin_comparison
from web.served import served

api = APIBlueprint(
    "comparisons",
    __name__,
    url_prefix="/api/v1",
    abp_tags=[Tag(name="Models")],
    abp_responses=problems(400, 403),
)


@api.post(
    "/comparisons",
    responses={202: ProgressOutput, **problems(404, 413, 415, 503)},
    openapi_extensions=COMPARISON_BODY,
)
def begin() -> tuple[Response, int]:
    """Begin to compare models on questions, or go on with what was stopped; one at a time.

    `models` are names in the models folder, `MODEL+ADAPTER`, or `none` for quotes without an LLM.
    They answer from the same passages, one after another, beside the LLM in use, which goes on
    answering; 503 where a model does not fit beside it, or while another comparison is made.
    """
    return jsonify(to_json(begin_comparison())), 202


@api.get("/comparisons", responses={200: ComparisonsOutput})
def listing() -> Response:
    """All comparisons, the newest first, each with how far it is."""
    return jsonify({"comparisons": to_json(served().comparisons.all())})


@api.get("/comparisons/<comparison_id>", responses={200: ComparisonOutput, **problems(404)})
def show(path: ComparisonPath) -> Response:
    """How far a comparison is, and as `result` what came out, without any document's text."""
    here = served().comparisons
    progress = here.progress(path.comparison_id)
    # one that ends just now is not told to be running with what came out
    busy = progress.state in ("running", "stopping")
    result = None if busy else here.result(path.comparison_id)
    return jsonify({"progress": to_json(progress), "result": result})


@api.post("/comparisons/<comparison_id>/stop", responses={202: ProgressOutput, **problems(404)})
def stop(path: ComparisonPath) -> tuple[Response, int]:
    """Stop a comparison that is being made. Its answers are kept: beginning it again goes on."""
    return jsonify(to_json(served().comparisons.stop(path.comparison_id))), 202


@api.delete(
    "/comparisons/<comparison_id>", responses={202: ProgressOutput, 204: None, **problems(404)}
)
def delete(path: ComparisonPath) -> tuple[Response | str, int]:
    """Delete a comparison with all its figures; one that is being made is stopped instead (202)."""
    here = served().comparisons
    if here.delete(path.comparison_id):
        return "", 204
    return jsonify(to_json(here.progress(path.comparison_id))), 202
