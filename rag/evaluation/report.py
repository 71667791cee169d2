"""An evaluation as one HTML page that needs nothing beside it: no script, no other file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from rag.evaluation.against import Comparison
from rag.evaluation.metrics import mean
from rag.evaluation.pages import LEAST, SIDE, pages, place
from rag.evaluation.reliability import Bin, Cut, bins, calibration_error, chance_error, cut, cuts
from rag.evaluation.scoring import MEASURES, Scored, intervals, judged_answers, latency


@dataclass(frozen=True, slots=True)
class _Group:
    """The questions of one split or kind and what they come to."""

    name: str
    questions: int
    means: Mapping[str, float | None]


def render(
    name: str, scored: Sequence[Scored], threshold: float, comparison: Comparison | None = None
) -> str:
    """The page; `name` is that of the questions' file, `threshold` where Cloister declines."""
    answered = judged_answers(scored)
    parts = bins(answered)
    answerable = [s.chance for s in scored if s.result.item.answerable]
    unanswerable = [s.chance for s in scored if not s.result.item.answerable]
    declining = cuts(answerable, unanswerable)
    return (
        pages()
        .get_template("report.html")
        .render(
            name=name,
            today=date.today().isoformat(),
            scored=scored,
            model=_model(scored),
            measures=[
                (key, *MEASURES[key], found, sum(key in s.scores for s in scored))
                for key, found in intervals(scored).items()
            ],
            groups=_groups(scored),
            abstention=_curve(declining),
            here=cut(threshold, answerable, unanswerable) if declining else None,
            threshold=threshold,
            least=LEAST,
            bins=parts,
            dots=_dots(parts),
            error=calibration_error(answered),
            by_chance=chance_error(answered),
            right=mean(float(answer.right) for answer in answered),
            latency=_stages(latency(scored)),
            failed=sum(bool(one.failure) for one in scored),
            failures=_by_reason(scored),
            comparison=comparison,
            side=SIDE,
        )
    )


def _model(scored: Sequence[Scored]) -> Any:
    """The model that answered; none did where all was answered from the catalog."""
    answers = [one.result.answer for one in scored]
    asked = [answer for answer in answers if answer.get("answered_from") != "catalog"]
    return (asked or answers)[0]["model"]


def _groups(scored: Sequence[Scored]) -> list[_Group]:
    """Splits and kinds, where there is more than one."""
    by_name: dict[str, list[Scored]] = {}
    for name in ("split", "kind"):
        values = sorted({getattr(s.result.item, name) for s in scored})
        for value in values if len(values) > 1 else ():
            part = [s for s in scored if getattr(s.result.item, name) == value]
            by_name[f"{name} {value}"] = part
    return [
        _Group(
            name,
            len(part),
            {key: mean(s.scores[key] for s in part if key in s.scores) for key in MEASURES},
        )
        for name, part in by_name.items()
    ]


def _curve(declining: Sequence[Cut]) -> str:
    """The places of a line: answerable questions declined, against unanswerable ones."""
    places = (place(cut.answerable_declined, cut.unanswerable_declined) for cut in declining)
    return " ".join(f"{x},{y}" for x, y in places)


def _dots(parts: Sequence[Bin]) -> list[tuple[float, float, float]]:
    """Of each bin the place, as x and y, and the radius of a dot that grows with its answers."""
    most = max((part.count for part in parts), default=1)
    return [
        (*place(part.confidence, part.right), 1.2 + 2.4 * math.sqrt(part.count / most))
        for part in parts
    ]


def _stages(timed: Mapping[str, float]) -> list[tuple[str, float, float]]:
    """Each stage with its median and 95th percentile in milliseconds."""
    names = [key.removesuffix("_p50") for key in timed if key.endswith("_p50")]
    return [(name.replace("_", " "), timed[f"{name}_p50"], timed[f"{name}_p95"]) for name in names]


def _by_reason(scored: Sequence[Scored]) -> list[tuple[str, list[dict[str, Any]]]]:
    """What failed by what went wrong, the most frequent first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in scored:
        if one.failure:
            reason, _, found_at = one.failure.partition("; ")
            item, answer = one.result.item, one.result.answer
            found.setdefault(reason, []).append(
                {"item": item, "answer": answer, "found": found_at, "one": one}
                | {"passages": one.result.passages[:5]}
            )
    return sorted(found.items(), key=lambda pair: -len(pair[1]))
