"""A comparison in plain words: what it comes to, what differs beyond chance, what does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag.comparing.records import MEASURES, MILLISECONDS
from rag.model_pick import NONE
from rag.models.licences import ANSWERS

Result = Mapping[str, Any]

# with fewer questions only large differences can be told from chance
FEW = 50
_BETTER, _WORSE, _SAME, _CHANCE = "better", "worse", "the same", "may be chance"
_UNKNOWN = "–"
_GIGABYTE, _MEGABYTE = 1e9, 1e6


@dataclass(frozen=True, slots=True)
class Cell:
    """What a table says of a model; `best` where it beats every other one beyond chance."""

    text: str
    more: str = ""
    best: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the verdict's table: what it is about and a cell for each model."""

    label: str
    about: str
    cells: tuple[Cell, ...]


def summary(result: Result) -> list[str]:
    """The verdict in a few sentences."""
    return [
        sentence
        for make in (_rightly, _speed, _choice, _permitted, _few)
        for sentence in make(result)
    ]


def lines(result: Result) -> list[Line]:
    """The verdict as a table."""
    models = result["models"]
    unanswerable = result["questions"] - result["answerable"]
    measured = [
        ("right", "Handled rightly", "answered rightly and cited, or rightly declined"),
        (
            "unanswerable_answered",
            "Answered though the documents do not say",
            f"of {unanswerable} without an answer; less is better",
        ),
        (
            "answerable_declined",
            "Declined though the documents do say",
            f"of {result['answerable']} with an answer; less is better",
        ),
        ("supported", "Sentences that a passage supports", "of the answers given"),
        ("citation_precision", "Citations that quote the evidence", "of the answers given"),
    ]
    found = [
        Line(label, about, tuple(_share_cell(result, model, name) for model in models))
        for name, label, about in measured
    ]
    for name, label in (
        ("first_token", "Until the first word"),
        ("total", "Until the whole answer"),
    ):
        about = "half of the answers take no longer; below, 95 % of them"
        found.append(Line(label, about, tuple(_time_cell(result, m, name) for m in models)))
    found += [
        Line(
            "Tokens a second",
            "after the first one",
            tuple(Cell(number(model["tokens_per_second"])) for model in models),
        ),
        Line(
            "Memory at most",
            "measured, one question at a time",
            tuple(Cell(size(model["memory"])) for model in models),
        ),
        Line(
            "Cost of 1,000 answers",
            _price_words(result),
            tuple(Cell(_price(model["cost"], result["currency"])) for model in models),
        ),
        Line(
            "Commercial use",
            "of the weights, by their licence; not legal advice",
            tuple(
                Cell(ANSWERS.get(model["commercial"], ANSWERS["unknown"]), model["licence"])
                for model in models
            ),
        ),
    ]
    return found


def differing(result: Result) -> list[str]:
    """A sentence for each difference beyond chance, its better model first."""
    return [_differs(one) for one in result["differences"] if one["told"] in (_BETTER, _WORSE)]


def not_differing(result: Result) -> list[str]:
    """For each two models a sentence on what may be chance, and one on what is the same."""
    found = []
    for first, second in _couples(result):
        for told, words in (
            (_CHANCE, "differ, but no more than by chance"),
            (_SAME, "came out the same"),
        ):
            some = [
                MEASURES[one["measure"]].words
                for one in result["differences"]
                if (one["first"], one["second"], one["told"]) == (first, second, told)
            ]
            if some:
                found.append(f"{said(first)} and {said(second)} {words}: {_listed(some)}.")
    return found


def table(result: Result) -> Iterator[str]:
    """The verdict for a terminal."""
    names = [model["name"] for model in result["models"]]
    rows = [(line.label, [_plain(cell) for cell in line.cells]) for line in lines(result)]
    widths = [
        max(len(name), *(len(cells[place]) for _, cells in rows))
        for place, name in enumerate(names)
    ]
    first = max(len(label) for label, _ in rows)
    for label, cells in [("", names), *rows]:
        told = (f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        yield f"{label:{first}}  {'  '.join(told)}"
    yield ""
    yield from summary(result)


def said(name: str) -> str:
    """A model's name within a sentence."""
    return "Quotes alone (none)" if name == NONE else name


def value(measure: str, given: float | None) -> str:
    """A value of a measure, to read."""
    if given is None:
        return _UNKNOWN
    return time(given) if MEASURES[measure].unit == MILLISECONDS else f"{100 * given:.1f} %"


def time(milliseconds: float | None) -> str:
    """Milliseconds to read."""
    if milliseconds is None:
        return _UNKNOWN
    return f"{milliseconds:.0f} ms" if milliseconds < 995 else f"{milliseconds / 1000:,.1f} s"


def size(given: int | None) -> str:
    """Bytes to read."""
    if given is None:
        return _UNKNOWN
    if given >= 0.1 * _GIGABYTE:
        return f"{given / _GIGABYTE:,.2f} GB"
    return f"{given / _MEGABYTE:,.0f} MB"


def number(given: float | None) -> str:
    """A number with one place, to read."""
    return _UNKNOWN if given is None else f"{given:,.1f}"


def _plain(cell: Cell) -> str:
    more = f" ({cell.more})" if cell.more else ""
    return f"{'* ' if cell.best else ''}{cell.text}{more}"


def _rightly(result: Result) -> Iterator[str]:
    best, *others = sorted(result["models"], key=_right, reverse=True)
    name, share = said(best["name"]), value("right", _right(best))
    if not others:
        yield f"Only {name} could be asked, so there is nothing to compare it with."
        return
    beaten = [one for one in others if _beats(result, best["name"], one["name"], "right")]
    level = [one for one in others if one not in beaten]
    if not beaten:
        shares = [f"{said(one['name'])} {value('right', _right(one))}" for one in (best, *others)]
        yield f"No model is beyond chance the best in what it handles rightly: {_listed(shares)}."
        return
    told = f"{name} handled the most questions rightly, {share}: beyond chance more than"
    told = f"{told} {_names(beaten)}"
    yield f"{told}; its lead over {_names(level)} may be chance." if level else f"{told}."


def _speed(result: Result) -> Iterator[str]:
    ordered = sorted(result["models"], key=lambda model: float(model["p50"]["total"]))
    if len(ordered) > 1:
        told = _listed([f"{said(one['name'])} {time(one['p50']['total'])}" for one in ordered])
        yield f"Half of the answers took no longer than this, the fastest first: {told}."


def _choice(result: Result) -> Iterator[str]:
    """Of those that nothing beats beyond chance, the fastest."""
    models = result["models"]
    if len(models) < 2:
        return
    names = [model["name"] for model in models]
    sound = [
        model
        for model in models
        if not any(
            _beats(result, other, model["name"], measure)
            for other in names
            if other != model["name"]
            for measure in ("right", "unanswerable_answered", "answerable_declined")
        )
    ]
    if sound:
        fastest = said(min(sound, key=lambda model: float(model["p50"]["total"]))["name"])
        several = ", and of those for which that holds it is the fastest" if len(sound) > 1 else ""
        yield (
            f"If nothing else decides, take {fastest}: no other model is beyond chance better at "
            f"answering rightly or at declining{several}."
        )


def _permitted(result: Result) -> Iterator[str]:
    for answer, words in (
        ("no", "may not be used commercially"),
        ("conditions", "may be used commercially under conditions"),
        ("unknown", "is not known to the catalogue, so look its licence up yourself"),
    ):
        some = [said(model["name"]) for model in result["models"] if model["commercial"] == answer]
        if some:
            yield f"{_listed(some)} {words}."


def _few(result: Result) -> Iterator[str]:
    if result["questions"] < FEW:
        yield (
            f"{result['questions']} questions are few: only large differences can be told from "
            "chance. Ask more of them before you decide."
        )


def _differs(one: Mapping[str, Any]) -> str:
    measure = MEASURES[one["measure"]]
    second_wins = one["told"] == _BETTER
    names = (one["second"], one["first"]) if second_wins else (one["first"], one["second"])
    means = one["first_mean"], one["second_mean"]
    winner, loser = reversed(means) if second_wins else means
    kind = "is faster" if measure.unit == MILLISECONDS else "is better"
    return (
        f"{said(names[0])} {kind} than {said(names[1])}: {measure.words}, "
        f"{value(one['measure'], winner)} against {value(one['measure'], loser)}."
    )


def _beats(result: Result, winner: str, loser: str, measure: str) -> bool:
    return any(
        (one["first"], one["second"], one["told"])
        in ((loser, winner, _BETTER), (winner, loser, _WORSE))
        for one in result["differences"]
        if one["measure"] == measure
    )


def _best(result: Result, name: str, measure: str) -> bool:
    others = [model["name"] for model in result["models"] if model["name"] != name]
    return bool(others) and all(_beats(result, name, other, measure) for other in others)


def _share_cell(result: Result, model: Mapping[str, Any], measure: str) -> Cell:
    found = model["measures"].get(measure)
    if not found:
        return Cell(_UNKNOWN)
    bounds = ""
    if found["questions"] >= 10:
        bounds = f"{100 * found['low']:.0f} to {100 * found['high']:.0f} %"
    return Cell(value(measure, found["mean"]), bounds, _best(result, model["name"], measure))


def _time_cell(result: Result, model: Mapping[str, Any], stage: str) -> Cell:
    if stage not in model["p50"]:
        return Cell(_UNKNOWN)
    most = f"95 %: {time(model['p95'][stage])}"
    return Cell(time(model["p50"][stage]), most, _best(result, model["name"], stage))


def _price_words(result: Result) -> str:
    if not result["per_hour"]:
        return "give a price of an hour: --per-hour, or cost.per_hour"
    return f"one after another, at {result['per_hour']:,.2f} {result['currency']} an hour".replace(
        "  ", " "
    )


def _price(cost: float | None, currency: str) -> str:
    return _UNKNOWN if cost is None else f"{cost:,.2f} {currency}".strip()


def _names(models: Sequence[Mapping[str, Any]]) -> str:
    return _listed([said(model["name"]) for model in models])


def _right(model: Mapping[str, Any]) -> float:
    return float(model["measures"]["right"]["mean"])


def _couples(result: Result) -> list[tuple[str, str]]:
    return list(dict.fromkeys((one["first"], one["second"]) for one in result["differences"]))


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
