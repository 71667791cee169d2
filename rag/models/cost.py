"""What answers cost: the time that they keep the machine busy, at its price and its power."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from rag.catalog.answer_figures import AnswerFigures

_THOUSAND = 1000
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What the answers of one model took, as it was loaded: adapter, quantization, device.

    `written` counts those that it wrote tokens for, whose means `prompt_tokens` and
    `completion_tokens` are. `tokens_per_second` is how fast one answer grows after its first token.
    `busy` is the mean time in seconds that an answer kept the machine busy: where several were made
    at once, they share it. Per thousand answers: `energy` in watt-hours, `price` in the currency of
    the price. None is not known.
    """

    model: str
    revision: str
    adapter: str | None
    quantization: str | None
    device: str
    answers: int
    written: int
    prompt_tokens: float | None
    completion_tokens: float | None
    tokens_per_second: float | None
    p50: float
    p95: float
    busy: float
    energy: float | None
    price: float | None


def costs(
    figures: Iterable[AnswerFigures], per_hour: float = 0.0, watts: float | None = None
) -> list[Cost]:
    """The cost of the answers of each model, the most used first.

    `per_hour` is the price of an hour of the machine, 0 where it is not known. `watts` is the power
    that it draws while it answers.
    """
    rows = sorted(figures, key=_loaded)
    found = [_cost(key, list(some), per_hour, watts) for key, some in groupby(rows, _loaded)]
    return sorted(found, key=lambda cost: (-cost.answers, cost.model))


def price_of_thousand(busy: float, per_hour: float) -> float | None:
    """The price of a thousand answers of `busy` seconds each; None where no price is known."""
    return busy * _THOUSAND / _HOUR * per_hour if per_hour > 0 else None


def tokens_per_second(rows: Iterable[AnswerFigures]) -> float | None:
    """How many tokens a second an answer grows by after its first; None where none has two."""
    tokens, seconds = 0, 0.0
    for row in rows:
        if row.first_token is not None and row.completion_tokens > 1:
            tokens += row.completion_tokens - 1
            seconds += (row.total - row.first_token) / 1000
    return tokens / seconds if seconds > 0 else None


def busy_seconds(rows: Iterable[AnswerFigures]) -> float:
    """The seconds in which at least one of the answers was being made."""
    spans = sorted((row.finished - row.total / 1000, row.finished) for row in rows)
    busy, until = 0.0, -math.inf
    for start, end in spans:
        busy += max(0.0, end - max(start, until))
        until = max(until, end)
    return busy


def _loaded(row: AnswerFigures) -> tuple[str, str, str, str, str]:
    return row.model, row.revision, row.adapter or "", row.quantization or "", row.device


def _cost(
    key: tuple[str, str, str, str, str],
    rows: Sequence[AnswerFigures],
    per_hour: float,
    watts: float | None,
) -> Cost:
    model, revision, adapter, quantization, device = key
    written = [row for row in rows if row.completion_tokens]
    seconds = sorted(row.total / 1000 for row in rows)
    busy = busy_seconds(rows) / len(rows)
    return Cost(
        model=model,
        revision=revision,
        adapter=adapter or None,
        quantization=quantization or None,
        device=device,
        answers=len(rows),
        written=len(written),
        prompt_tokens=_mean([row.prompt_tokens for row in written]),
        completion_tokens=_mean([row.completion_tokens for row in written]),
        tokens_per_second=tokens_per_second(written),
        p50=_percentile(seconds, 0.5),
        p95=_percentile(seconds, 0.95),
        busy=busy,
        energy=None if watts is None else busy * _THOUSAND * watts / _HOUR,
        price=price_of_thousand(busy, per_hour),
    )


def _mean(values: Sequence[int]) -> float | None:
    return sum(values) / len(values) if values else None


def _percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of them do not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
