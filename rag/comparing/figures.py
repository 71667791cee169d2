"""From the answers of all models to figures, differences and how sure they are."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from rag import __version__
from rag.catalog.answer_figures import AnswerFigures
from rag.comparing.entries import Entry
from rag.comparing.plan import Plan
from rag.comparing.records import (
    MEASURES,
    AskedOf,
    CalibrationBin,
    Comparison,
    Difference,
    Figures,
    LeftOut,
    Mean,
    Told,
)
from rag.comparing.run import Outcome
from rag.comparing.store import Ledger, Row
from rag.errors import CloisterError
from rag.evaluation.against import Change, change_of
from rag.evaluation.intervals import interval
from rag.evaluation.questions import Item
from rag.evaluation.reliability import Answered, bins, calibration_error
from rag.models.cost import price_of_thousand, tokens_per_second
from rag.models.peak import HOW
from rag.prompting import PROMPT_VERSION
from rag.settings import Settings

# where signs by chance would seldomer than so give a difference as large, it is told
SURE = 0.05
_IN_USE = "it was in memory already, answering others; stop the server to measure it"


def compare(
    plan: Plan,
    ledger: Ledger,
    outcome: Outcome,
    settings: Settings,
    begun: str,
    ended: str,
) -> Comparison:
    """What the answers come to. `settings` tell the price of an hour."""
    rows = {
        entry.name: [ledger.rows[entry.name, item.id] for item in outcome.items]
        for entry in outcome.entries
    }
    values = {name: [values_of(row) for row in some] for name, some in rows.items()}
    return Comparison(
        id=plan.id,
        name=plan.name,
        begun=begun,
        ended=ended,
        questions=len(outcome.items),
        answerable=sum(item.answerable for item in outcome.items),
        collections=_asked_of(plan),
        models=tuple(
            _figures(entry, rows[entry.name], values[entry.name], outcome.items, settings)
            for entry in outcome.entries
        ),
        skipped=tuple(LeftOut(one.name, one.reason) for one in outcome.skipped),
        left_out=tuple(LeftOut(item.question, reason) for item, reason in outcome.left_out),
        differences=differences(values),
        asked=tuple(
            AskedOf(
                item.id,
                item.question,
                item.answerable,
                {name: some[number].failure for name, some in rows.items()},
            )
            for number, item in enumerate(outcome.items)
        ),
        per_hour=settings.cost_per_hour or None,
        currency=settings.cost_currency,
        beside=sum(row.beside for some in rows.values() for row in some),
        made_with={
            "cloister": __version__,
            "prompt_version": PROMPT_VERSION,
            "embedder": settings.embedder_model,
        },
    )


def values_of(row: Row) -> dict[str, float]:
    """Those of `MEASURES` that apply to an answer."""
    found = {name: row.scores[name] for name in MEASURES if name in row.scores}
    found["right"] = float(not row.failure)
    if "unanswerable_declined" in row.scores:
        found["unanswerable_answered"] = 1.0 - row.scores["unanswerable_declined"]
    for name in ("first_token", "total"):
        if name in row.timings_ms:
            found[name] = float(row.timings_ms[name])
    return found


def differences(values: Mapping[str, Sequence[Mapping[str, float]]]) -> tuple[Difference, ...]:
    """Each model against each one before it, question by question, in every measure.

    `values` holds for each model what its answers come to, in the order of the questions.
    """
    found = [
        (first, second, change_of(measure, pairs))
        for first, second in combinations(values, 2)
        for measure in MEASURES
        if (pairs := _pairs(measure, values[first], values[second]))
    ]
    # what is the same throughout could not have come out otherwise (Tarone 1990): it does not count
    parted = [place for place, (_, _, change) in enumerate(found) if not _same(change)]
    corrected = dict(zip(parted, holm([found[place][2].p for place in parted]), strict=True))
    adjusted = [corrected.get(place, 1.0) for place in range(len(found))]
    return tuple(
        Difference(
            measure=change.name,
            first=first,
            second=second,
            questions=change.questions,
            first_mean=change.before,
            second_mean=change.now,
            difference=change.difference.mean,
            low=change.difference.low,
            high=change.difference.high,
            p=change.p,
            adjusted=p,
            told=_told(change, p),
        )
        for (first, second, change), p in zip(found, adjusted, strict=True)
    )


def holm(values: Sequence[float]) -> list[float]:
    """The p-values after Holm's correction (1979) for that many of them, in their order."""
    adjusted = [1.0] * len(values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, (len(values) - rank) * values[place]))
        adjusted[place] = highest
    return adjusted


def _asked_of(plan: Plan) -> tuple[str, ...] | None:
    """The collections that some question was asked of; None where one was asked of all."""
    found: dict[str, None] = {}
    for item in plan.items:
        names = item.asked_of(plan.collections)
        if names is None:
            return None
        found |= dict.fromkeys(names)
    return tuple(found)


def _pairs(
    measure: str, first: Sequence[Mapping[str, float]], second: Sequence[Mapping[str, float]]
) -> list[tuple[float, float]]:
    return [
        (one[measure], two[measure])
        for one, two in zip(first, second, strict=True)
        if measure in one and measure in two
    ]


def _same(change: Change) -> bool:
    """Whether no question tells the two apart."""
    return change.before == change.now and not change.difference.low and not change.difference.high


def _told(change: Change, p: float) -> Told:
    if _same(change):
        return "the same"
    if p >= SURE:
        return "may be chance"
    more = change.now > change.before
    return "better" if more == MEASURES[change.name].more_is_better else "worse"


def _figures(
    entry: Entry,
    rows: Sequence[Row],
    values: Sequence[Mapping[str, float]],
    items: Sequence[Item],
    settings: Settings,
) -> Figures:
    judged = list(_judged(rows, items))
    written = [_written(row) for row in rows if row.completion_tokens]
    memory = max((row.memory for row in rows if row.memory is not None), default=None)
    how = next((row.how for row in rows if row.how), "")
    asked = next((row for row in rows if row.device), rows[0])
    estimate, estimate_for = _estimate(entry, asked.device)
    busy = sum(row.timings_ms["total"] for row in rows) / len(rows) / 1000
    timed = {
        stage: [row.timings_ms[stage] for row in rows if stage in row.timings_ms]
        for stage in ("retrieve", "first_token", "total")
    }
    return Figures(
        name=entry.name,
        revision=entry.fingerprint.partition(" ")[2],
        device=asked.device,
        precision=asked.precision,
        quantization=asked.quantization,
        measures=dict(_means(values)),
        calibration_error=calibration_error(judged),
        calibration=tuple(CalibrationBin(b.count, b.confidence, b.right) for b in bins(judged)),
        p50={stage: _quantile(some, 9) for stage, some in timed.items() if some},
        p95={stage: _quantile(some, 18) for stage, some in timed.items() if some},
        tokens_per_second=tokens_per_second(written),
        prompt_tokens=_mean([row.prompt_tokens for row in rows if row.completion_tokens]),
        completion_tokens=_mean([row.completion_tokens for row in rows if row.completion_tokens]),
        memory=memory,
        memory_how=HOW.get(how, "" if entry.is_none else _IN_USE),
        memory_estimate=estimate,
        estimate_for=estimate_for,
        cost=price_of_thousand(busy, settings.cost_per_hour),
        licence=entry.licence,
        commercial=entry.commercial,
        commercial_words=entry.commercial_words,
    )


def _means(values: Sequence[Mapping[str, float]]) -> Iterator[tuple[str, Mean]]:
    for name in MEASURES:
        some = [one[name] for one in values if name in one]
        if some:
            found = interval(some)
            yield name, Mean(len(some), found.mean, found.low, found.high)


def _judged(rows: Sequence[Row], items: Sequence[Item]) -> Iterator[Answered]:
    """The answers of which can be told whether they are right, and how sure each was."""
    for row, item in zip(rows, items, strict=True):
        if not row.abstained and (item.answers or not item.answerable):
            yield Answered(row.confidence, row.scores.get("answer_holds_gold", 0.0) > 0)


def _written(row: Row) -> AnswerFigures:
    """An answer's tokens and times, as those of recorded answers are."""
    return AnswerFigures(
        model=row.model,
        revision="",
        adapter=None,
        quantization=None,
        device=row.device,
        finished=0.0,
        prompt_tokens=row.prompt_tokens,
        completion_tokens=row.completion_tokens,
        first_token=row.timings_ms.get("first_token"),
        total=row.timings_ms["total"],
    )


def _estimate(entry: Entry, device: str) -> tuple[int | None, str]:
    """The memory that the settings' use of a model needs at most, and which use that is."""
    if entry.is_none:
        return None, ""
    from rag.models.fitting import use_of
    from rag.models.folder import find_model
    from rag.models.hardware import Memory
    from rag.models.shape import read_config

    own = replace(entry.settings, llm_check_fit=True)
    try:
        folder = find_model(own.models_path, own.llm_model).path
        config, place = read_config(folder), Memory(device or "cpu", "", 0)
        use = use_of(own, config, place, folder)
        needed = use.needed(config, place).peak
    except CloisterError:
        return None, ""
    return needed, f"{use.concurrency} questions at once with {use.context:,} tokens each"


def _quantile(values: Sequence[int], place: int) -> float:
    """The median at 9, the 95th percentile at 18."""
    if len(values) == 1:
        return float(values[0])
    return round(statistics.quantiles(values, n=20, method="inclusive")[place], 1)


def _mean(values: Sequence[int]) -> float | None:
    return sum(values) / len(values) if values else None
