"""An evaluation beside an earlier one: the same questions, one by one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import NotFound, UsageError
from rag.evaluation.intervals import Interval, interval, p_value
from rag.evaluation.questions import Item
from rag.evaluation.scoring import MEASURES, Scored

# where signs by chance would seldomer than so give a change as large, it is told
_SURE = 0.05


@dataclass(frozen=True, slots=True)
class Change:
    """A measure over the questions that both runs have: its mean before, now, and the difference.

    `p` is how likely so large a difference is by chance.
    """

    name: str
    questions: int
    before: float
    now: float
    difference: Interval
    p: float

    @property
    def told(self) -> str:
        """`better`, `worse`, `the same`, or that the change may be chance."""
        if not self.difference.low and not self.difference.high:
            return "the same"
        if self.p >= _SURE:
            return "may be chance"
        return "better" if (self.now > self.before) == MEASURES[self.name][1] else "worse"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed between two runs: measures, and questions that fail now or no more."""

    questions: int
    changes: Sequence[Change]
    broken: Sequence[Scored]
    mended: Sequence[Scored]


def to_row(scored: Scored) -> Mapping[str, Any]:
    """A question of a run as a JSON line, for a person and for a later comparison."""
    item = scored.result.item
    return {
        "id": item.id,
        "question": item.question,
        "gold": item.answers,
        "collection": item.collection,
        "scores": scored.scores,
        "failure": scored.failure,
        "answer": scored.result.answer,
    }


def read_rows(path: Path, items: Sequence[Item]) -> Mapping[str, Mapping[str, Any]]:
    """Those questions of an earlier run that are among these, by id.

    Raises NotFound and UsageError, also where no question is the same.
    """
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise NotFound(f"{path} cannot be read: {reason}.") from error
    rows: dict[str, Mapping[str, Any]] = {}
    asked = {(item.id, item.question) for item in items}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if (row["id"], row["question"]) in asked:
                rows[row["id"]] = {
                    "failure": str(row["failure"]),
                    "scores": {name: float(value) for name, value in row["scores"].items()},
                }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"{path}, line {number} is not of an evaluation ({error!r}). Give a file that "
                "`cloister evaluate --details` wrote."
            ) from error
    if not rows:
        raise UsageError(f"{path} has none of these questions, so there is nothing to compare.")
    return rows


def change_of(name: str, pairs: Sequence[tuple[float, float]]) -> Change:
    """The change of a measure between values of the same questions, each as (before, now)."""
    first, second = (sum(values) / len(pairs) for values in zip(*pairs, strict=True))
    difference = [after - earlier for earlier, after in pairs]
    if not any(difference):
        return Change(name, len(pairs), first, second, Interval(0.0, 0.0, 0.0), 1.0)
    return Change(name, len(pairs), first, second, interval(difference), p_value(difference))


def compare(scored: Sequence[Scored], before: Mapping[str, Mapping[str, Any]]) -> Comparison:
    """This run beside an earlier one, over the questions that both have."""
    both = [(s, before[s.result.item.id]) for s in scored if s.result.item.id in before]
    changes = []
    for name in MEASURES:
        pairs = [
            (then["scores"][name], now.scores[name])
            for now, then in both
            if name in now.scores and name in then["scores"]
        ]
        if pairs:
            changes.append(change_of(name, pairs))
    return Comparison(
        len(both),
        changes,
        broken=[now for now, then in both if now.failure and not then["failure"]],
        mended=[now for now, then in both if then["failure"] and not now.failure],
    )
