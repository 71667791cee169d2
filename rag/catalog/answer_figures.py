"""The numbers of the recorded answers, without their text: tokens, times, by which model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select

from rag.catalog import Catalog
from rag.catalog.schema import answers
from rag.records import NO_MODEL


@dataclass(frozen=True, slots=True)
class AnswerFigures:
    """One answer: its model, the tokens read and written, milliseconds.

    `finished` is in seconds since the epoch. `first_token` is None where the model wrote nothing.
    """

    model: str
    revision: str
    adapter: str | None
    quantization: str | None
    device: str
    finished: float
    prompt_tokens: int
    completion_tokens: int
    first_token: int | None
    total: int


def answer_figures(catalog: Catalog, since: str = "") -> list[AnswerFigures]:
    """Those of every answer for which a model stood ready, oldest first.

    `since` is a moment or a day (ISO 8601), from which on they count.
    """
    paths = (
        "model.id",
        "model.revision",
        "model.adapter",
        "model.quantization",
        "model.device",
        "usage.prompt_tokens",
        "usage.completion_tokens",
        "timings_ms.first_token",
        "timings_ms.total",
    )
    statement = (
        select(answers.c.created_at, *(_value(path) for path in paths))
        .where(answers.c.created_at >= since, _value("model.id") != NO_MODEL.id)
        .order_by(answers.c.created_at, answers.c.id)
    )
    with catalog.read() as connection:
        return [_figures(*row) for row in connection.execute(statement)]


def _value(path: str) -> ColumnElement[Any]:
    return func.json_extract(answers.c.record, f"$.{path}")


def _figures(
    created: str,
    model: str,
    revision: str | None,
    adapter: str | None,
    quantization: str | None,
    device: str | None,
    prompt: int | None,
    completion: int | None,
    first: int | None,
    total: int | None,
) -> AnswerFigures:
    return AnswerFigures(
        model=model,
        revision=revision or "",
        adapter=adapter,
        quantization=quantization,
        device=device or "",
        finished=datetime.fromisoformat(created).timestamp(),
        prompt_tokens=prompt or 0,
        completion_tokens=completion or 0,
        first_token=first,
        total=total or 0,
    )
