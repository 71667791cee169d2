"""The geometry of a comparison's charts, in the units of their view boxes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag.comparing.records import MEASURES
from rag.comparing.verdict import size, time, value
from rag.evaluation.pages import SIDE, place

Result = Mapping[str, Any]

# a strip is so wide, and each of its rows so high; the line of a row lies below its words
WIDTH, ROW = 400.0, 40.0
_LINE = 28.0
_STRIPS = (
    ("right", "Questions handled rightly", "more is better"),
    ("unanswerable_answered", "Answered though the documents do not say", "less is better"),
    ("answerable_declined", "Declined though the documents do say", "less is better"),
    ("f1", "Words shared with the right answer (token F1)", "more is better"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A model in a strip: a line from `low` to `high` with a dot, or a bar to `dot`."""

    name: str
    told: str
    y: float
    line: float
    low: float
    dot: float
    high: float


@dataclass(frozen=True, slots=True)
class Strip:
    """A chart with a row for each model. `bars` says that its rows begin at the left edge."""

    title: str
    about: str
    height: float
    rows: tuple[Row, ...]
    ticks: tuple[tuple[float, str], ...]
    bars: bool = False


@dataclass(frozen=True, slots=True)
class Dot:
    """A model in the chart of quality against time."""

    number: int
    name: str
    x: float
    y: float


def strips(result: Result) -> list[Strip]:
    """How good each model is, with how sure that is, then how fast and how large."""
    found = []
    for measure, title, about in _STRIPS:
        rows = [
            (model["name"], model["measures"][measure])
            for model in result["models"]
            if measure in model["measures"]
        ]
        if rows:
            found.append(_shares(measure, title, about, rows))
    return [*found, *_times(result), *_sizes(result)]


def scatter(result: Result) -> tuple[list[Dot], list[tuple[float, str]]]:
    """Each model by its median time and what it handled rightly, and the ticks of the time."""
    times = [model["p50"]["total"] for model in result["models"]]
    step, most = _scale(max(times) / 1000)
    dots = [
        Dot(
            number,
            model["name"],
            *place(model["p50"]["total"] / 1000 / most, model["measures"]["right"]["mean"]),
        )
        for number, model in enumerate(result["models"], 1)
    ]
    count = round(most / step)
    return dots, [(round(SIDE * n / count, 2), f"{n * step:g}") for n in range(count + 1)]


def reliability(model: Mapping[str, Any]) -> list[tuple[float, float, float]]:
    """Of each bin of confidence the place, as x and y, and the radius of its dot."""
    parts = model["calibration"]
    most = max((part["count"] for part in parts), default=1)
    return [
        (*place(part["confidence"], part["right"]), 1.2 + 2.4 * math.sqrt(part["count"] / most))
        for part in parts
    ]


def _shares(
    measure: str, title: str, about: str, rows: Sequence[tuple[str, Mapping[str, Any]]]
) -> Strip:
    return Strip(
        title,
        about,
        ROW * len(rows),
        tuple(
            Row(
                name,
                value(measure, found["mean"]),
                ROW * place_,
                ROW * place_ + _LINE,
                *(round(WIDTH * found[key], 1) for key in ("low", "mean", "high")),
            )
            for place_, (name, found) in enumerate(rows)
        ),
        tuple((WIDTH * share / 100, f"{share} %") for share in (0, 25, 50, 75, 100)),
    )


def _times(result: Result) -> list[Strip]:
    found = []
    for stage in ("first_token", "total"):
        rows = [
            (model["name"], model["p50"][stage], model["p95"][stage])
            for model in result["models"]
            if stage in model["p50"]
        ]
        if rows:
            step, most = _scale(max(high for _, _, high in rows) / 1000)
            words = MEASURES[stage].words
            found.append(
                Strip(
                    words[0].upper() + words[1:],
                    "bar: half of the answers; line: 95 % of them",
                    ROW * len(rows),
                    tuple(
                        Row(
                            name,
                            f"{time(middle)} ({time(high)})",
                            ROW * at,
                            ROW * at + _LINE,
                            0.0,
                            round(WIDTH * middle / 1000 / most, 1),
                            round(WIDTH * high / 1000 / most, 1),
                        )
                        for at, (name, middle, high) in enumerate(rows)
                    ),
                    _ticks(step, most, " s"),
                    bars=True,
                )
            )
    return found


def _sizes(result: Result) -> list[Strip]:
    rows = [
        (model["name"], model["memory"], model["memory_estimate"])
        for model in result["models"]
        if model["memory"] is not None
    ]
    if not rows:
        return []
    step, most = _scale(max(max(used, estimate or 0) for _, used, estimate in rows) / 1e9)
    return [
        Strip(
            "Memory",
            "bar: measured, one question at a time; line: estimate for the settings",
            ROW * len(rows),
            tuple(
                Row(
                    name,
                    f"{size(used)} ({size(estimate)})" if estimate else size(used),
                    ROW * at,
                    ROW * at + _LINE,
                    0.0,
                    round(WIDTH * used / 1e9 / most, 1),
                    round(WIDTH * max(used, estimate or 0) / 1e9 / most, 1),
                )
                for at, (name, used, estimate) in enumerate(rows)
            ),
            _ticks(step, most, " GB"),
            bars=True,
        )
    ]


def _ticks(step: float, most: float, unit: str) -> tuple[tuple[float, str], ...]:
    count = round(most / step)
    return tuple((round(WIDTH * n / count, 1), f"{n * step:g}{unit}") for n in range(count + 1))


def _scale(highest: float) -> tuple[float, float]:
    """A round step, and the end of an axis of three to six of them that holds the highest."""
    if highest <= 0:
        return 1.0, 4.0
    power = 10.0 ** math.floor(math.log10(highest / 3))
    step = next(power * n for n in (1, 2, 5, 10) if highest / (power * n) <= 5)
    return step, step * max(1, math.ceil(highest / step))
