"""Whether what a tuning gained on what was held out is more than chance, in figures and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rag.evaluation.intervals import interval, p_value

# the key under which it stands among the scores
GAIN = "gain"
# where signs by chance would seldomer than so give a difference as large, it is told as one
_SURE = 0.05
CHOSEN_BY = (
    "Which step's weights were kept was decided by the loss on this part too, so the scores are a "
    "little kind to what was tuned."
)


def gain(of: str, base: Sequence[float], tuned: Sequence[float]) -> dict[str, Any]:
    """How far a score rose from the base to what was tuned, question by question.

    With its 95 % interval and the `p` of the paired permutation test. Raises ValueError where the
    questions are not the same ones, or none.
    """
    differences = [now - before for before, now in zip(base, tuned, strict=True)]
    found = interval(differences)
    figures = {"mean": found.mean, "low": found.low, "high": found.high, "p": p_value(differences)}
    rounded = {name: round(value, 4) for name, value in figures.items()}
    return {"of": of, "questions": len(differences)} | rounded


def gain_words(scores: Mapping[str, Any]) -> str:
    """Whether the gain is more than chance; empty where it was not kept.

    What was tuned by an earlier version has none.
    """
    found = scores.get(GAIN)
    if not found:
        return ""
    chance = "that is more than chance" if found["p"] < _SURE else "that may be chance"
    return (
        f"{found['of']}: {found['mean']:+.3f} over {found['questions']:,} held out "
        f"(95 %: {found['low']:+.3f} to {found['high']:+.3f}; p {found['p']:.3f}): {chance}."
    )
