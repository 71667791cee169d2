"""The model card of a tuned embedder, and the record from which it is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rag.checkpoints import write_text
from rag.errors import ModelError
from rag.models.folder import Manifest
from rag.tuning.card import CARD, told_gain, verdict
from rag.tuning.gain import CHOSEN_BY

RECORD = "cloister-tuning.json"

_ROWS = {
    "recall@1": "recall@1: share of the answering passages that come first",
    "recall@5": "recall@5: share of them among the first five",
    "mrr@10": "MRR@10: one over the rank of the first of them",
    "ndcg@10": "nDCG@10",
    "loss": "loss of a question",
}


@dataclass(frozen=True, slots=True)
class Tuned:
    """What an embedder was made of, and how good it and its base are on what was held out.

    `made_of` is what decides the result; `counts` are of questions `learned` and `held_out`, those
    `left_out` for want of an answer, and of `passages` in which the held-out ones were sought.
    """

    base: str
    base_revision: str
    made_of: dict[str, Any]
    scores: dict[str, dict[str, Any]]
    command: str
    data: str
    licence: str
    device: str
    versions: dict[str, str]
    counts: dict[str, int]
    steps: int
    best_step: int
    seconds: float
    looks: list[dict[str, float]]
    losses: list[dict[str, float]]


def write_tuned(folder: Path, tuned: Tuned) -> None:
    """Write `cloister-tuning.json` whole or not at all. Raises StorageError."""
    write_text(folder / RECORD, json.dumps(asdict(tuned), indent=1) + "\n")


def read_tuned(folder: Path) -> Tuned | None:
    """What an embedder was made of; None where it was not tuned here. Raises ModelError."""
    if not (folder / RECORD).is_file():
        return None
    try:
        return Tuned(**json.loads((folder / RECORD).read_text("utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ModelError(
            f"The {RECORD} of the model {folder.name} is damaged. Remove its folder and make it "
            "again."
        ) from error


def write_card(folder: Path, tuned: Tuned, manifest: Manifest) -> None:
    """Write `README.md` whole or not at all. Raises StorageError."""
    write_text(folder / CARD, _card(tuned, manifest))


def _card(tuned: Tuned, manifest: Manifest) -> str:
    made, counts = tuned.made_of, tuned.counts
    base, scores = tuned.scores["base"], tuned.scores["tuned"]
    rows = "\n".join(
        f"| {text} | {_shown(base, name)} | {_shown(scores, name)} |"
        for name, text in _ROWS.items()
    )
    versions = ", ".join(f"{name} {version}" for name, version in tuned.versions.items())
    return f"""\
# {manifest.name}

The embedder {tuned.base}, tuned by Cloister so that questions are nearer to the passages that
answer them. {verdict(manifest.usable)}

    {tuned.command}

| | |
| --- | --- |
| base | {tuned.base}, revision {tuned.base_revision} |
| licence of the base | {manifest.licence} |
| data | {tuned.data}, SHA-256 {made["data_sha256"]} |
| licences of the data | {tuned.licence} |
| questions | {counts["learned"]:,} to learn from, {counts["held_out"]:,} held out (whole \
documents) |
| training | all weights, AdamW, learning rate {made["learning_rate"]:g} (linear rise, then \
cosine), {made["batch"]} questions a step, up to {made["negatives"]} negatives of each beside the \
others' passages, {made["epochs"]} epochs, seed {made["seed"]} |
| run | {tuned.steps:,} steps, the best after {tuned.best_step:,}; {tuned.seconds:,.0f} s on \
{tuned.device}; {versions} |

## Scores on what was held out

None of these documents' questions was trained on. {CHOSEN_BY}
Each was asked over all {counts["passages"]:,} passages of the data, by the embedder as
it is loaded to answer questions.

| | {tuned.base} | this embedder |
| --- | --- | --- |
{rows}
{told_gain(tuned.scores)}
`{RECORD}` holds the mean loss of every ten steps, and every look at what is held out.
"""


def _shown(scores: Mapping[str, Any], name: str) -> str:
    value = scores.get(name)
    return "–" if value is None else f"{value:.4f}"
