"""A comparison as one HTML page that needs nothing beside it, or as a part of another page."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from rag.comparing.drawing import ROW, WIDTH, reliability, scatter, strips
from rag.comparing.figures import SURE
from rag.comparing.records import MEASURES
from rag.comparing.verdict import (
    differing,
    lines,
    not_differing,
    number,
    size,
    summary,
    time,
    value,
)
from rag.evaluation.pages import LEAST, SIDE, pages
from rag.models.licences import ANSWERS, NOT_ADVICE

Result = Mapping[str, Any]

# of more questions on which models part, the rest is counted
_MOST_SHOWN = 200


def render(result: Result) -> str:
    """The page, of a comparison's JSON values."""
    return _rendered("comparison.html", result)


def render_part(result: Result) -> str:
    """What stands below the page's own heading; `style` is for it."""
    return _rendered("_comparison.html", result)


def style() -> str:
    """The rules of what `render_part` gives. They use the page's colours by their names."""
    folder = files("rag.evaluation") / "templates"
    return "".join((folder / name).read_text("utf-8") for name in ("figures.css", "comparison.css"))


def _rendered(template: str, result: Result) -> str:
    made = pages()
    made.filters.update(bytes=size, milliseconds=time, number=number)
    made.globals["value"] = value
    dots, ticks = scatter(result)
    parted = [
        one for one in result["asked"] if len({bool(x) for x in one["failures"].values()}) > 1
    ]
    failed = [one for one in result["asked"] if all(one["failures"].values())]
    return made.get_template(template).render(
        **result,
        summary=summary(result),
        lines=lines(result),
        differing=differing(result),
        not_differing=not_differing(result),
        strips=strips(result),
        dots=dots,
        time_ticks=ticks,
        reliability=[(model, reliability(model)) for model in result["models"]],
        measure_words={name: measure.words for name, measure in MEASURES.items()},
        measure_more={name: measure.more_is_better for name, measure in MEASURES.items()},
        parted=parted,
        failed=failed,
        most_shown=_MOST_SHOWN,
        answers=ANSWERS,
        not_advice=NOT_ADVICE,
        sure=SURE,
        least=LEAST,
        side=SIDE,
        width=WIDTH,
        row=ROW,
    )
