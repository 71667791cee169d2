"""The pages of comparisons: one that is being made, what came out, and the report as a file."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, render_template
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from rag.comparing.report import render, render_part, style
from rag.errors import CloisterError, NotFound
from web.comparing import begin_comparison
from web.pages.models import models_page
from web.problems import problem
from web.served import served

pages = Blueprint("comparisons_page", __name__)


@pages.post("/models/comparisons")
def begin() -> AnyResponse | tuple[str, int]:
    """Begin a comparison from the form, and go to its page."""
    try:
        progress = begin_comparison()
    except CloisterError as error:
        return models_page(problem=problem(error)), error.status
    return redirect(f"/models/comparisons/{progress.id}", code=303)


@pages.get("/models/comparisons/<comparison_id>")
def show(comparison_id: str) -> str:
    """How far a comparison is, or what came out."""
    here = served().comparisons
    progress = here.progress(comparison_id)
    busy = progress.state in ("running", "stopping")
    result = None if busy else here.result(comparison_id)
    report = Markup(render_part(result)) if result else None
    return render_template("comparison.html", progress=progress, report=report)


@pages.get("/models/comparisons/<comparison_id>/report.html")
def report(comparison_id: str) -> Response:
    """The report as a file that needs nothing beside it."""
    result = served().comparisons.result(comparison_id)
    if result is None:
        raise NotFound("This comparison has not ended, so there is no report of it yet.")
    name = f"comparison-{result['ended'][:10]}-{comparison_id[-6:]}.html"
    return Response(
        render(result),
        mimetype="text/html",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@pages.get("/models/comparisons/report.css")
def report_style() -> Response:
    """The looks of a report within a page."""
    return Response(style(), mimetype="text/css")


@pages.post("/models/comparisons/<comparison_id>/stop")
def stop(comparison_id: str) -> AnyResponse:
    """Stop one that is being made."""
    served().comparisons.stop(comparison_id)
    return redirect(f"/models/comparisons/{comparison_id}", code=303)


@pages.post("/models/comparisons/<comparison_id>/delete")
def delete(comparison_id: str) -> AnyResponse:
    """Delete one."""
    served().comparisons.delete(comparison_id)
    return redirect("/models#comparisons", code=303)
