"""The model card of an adapter, and the log beside it from which it is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rag.checkpoints import write_text
from rag.errors import ModelError
from rag.models.adapter import BETTER, FORCED, RECORD, AdapterRecord
from rag.tuning.gain import CHOSEN_BY, gain_words
from rag.tuning.network import ALPHA_OVER_RANK

CARD = "README.md"
LOG = "training.json"
_MEND = (
    "Copy it again from where the adapter was made; or delete the adapter's folder and make it "
    "again."
)

_ROWS = {
    "loss": "loss of a token of the right completion",
    "exact": "completions that are exactly the right ones",
    "f1": "token F1, where there is an answer (0 where declined)",
    "f1_answered": "token F1, where there is an answer and it was not declined",
    "cited_right": "right citation marks, of those",
    "declined_answerable": "declined, where there is an answer",
    "declined_unanswerable": "declined, where there is none",
    "quality": "quality: F1 where there is an answer, 1 for a right refusal",
}


@dataclass(frozen=True, slots=True)
class Log:
    """What happened: `training.json`. `examples` counts those learned, held out and left out."""

    command: str
    data: str
    licence: str
    device: str
    versions: dict[str, str]
    examples: dict[str, int]
    parameters: int
    steps: int
    best_step: int
    seconds: float
    looks: list[dict[str, float]]
    losses: list[dict[str, float]]


def write_log(folder: Path, log: Log) -> None:
    """Write `training.json` whole or not at all. Raises StorageError."""
    write_text(folder / LOG, json.dumps(asdict(log), indent=1) + "\n")


def read_log(folder: Path) -> Log:
    """Read `training.json`. Raises ModelError where it is missing or damaged."""
    try:
        return Log(**json.loads((folder / LOG).read_text("utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ModelError(
            f"The {LOG} of the adapter {folder.name} is missing or damaged. {_MEND}"
        ) from error


def write_card(folder: Path, record: AdapterRecord, log: Log) -> None:
    """Write `README.md` whole or not at all, where it says something else.

    Raises ModelError where the record or the log does not hold what it tells, StorageError.
    """
    try:
        text = _card(folder.name, record, log)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(
            f"The {RECORD} or the {LOG} of {folder.name} is damaged. {_MEND}"
        ) from error
    try:
        if (folder / CARD).read_text("utf-8") == text:
            return
    except (OSError, ValueError):
        pass  # there is none yet, or it is damaged
    write_text(folder / CARD, text)


def _card(name: str, record: AdapterRecord, log: Log) -> str:
    made = record.made_of
    base, tuned = record.scores["base"], record.scores["tuned"]
    counts = log.examples
    rows = "\n".join(
        f"| {text} | {_shown(base, name)} | {_shown(tuned, name)} |" for name, text in _ROWS.items()
    )
    versions = ", ".join(f"{name} {version}" for name, version in log.versions.items())
    rank = made["rank"]
    return f"""\
# {name}

A LoRA adapter for {record.base}, made by Cloister for answers from passages: a sentence with the
number of its passage, or that the documents do not say. {verdict(record.usable)}

    {log.command}

| | |
| --- | --- |
| base | {record.base}, revision {record.base_revision}, weights {record.base_weights} |
| data | {log.data}, SHA-256 {made["data_sha256"]} |
| licences of the data | {log.licence} |
| examples | {counts["learned"]:,} to learn from, {counts["held_out"]:,} held out (whole \
documents), {counts["left_out"]:,} left out as longer than {made["max_tokens"]:,} tokens |
| adapter | LoRA, rank {rank}, alpha {ALPHA_OVER_RANK * rank}, all linear layers, \
{log.parameters:,} weights in bfloat16, SHA-256 {record.files["adapter_model.safetensors"]} |
| training | AdamW, learning rate {made["learning_rate"]:g} (linear rise, then cosine), \
{made["batch"]} examples a step, {made["epochs"]} epochs, seed {made["seed"]}, prompt version \
{record.prompt_version} |
| run | {log.steps:,} steps, the best after {log.best_step:,}; {log.seconds:,.0f} s on \
{log.device}; {versions} |

## Scores on what was held out

None of these documents was trained on. {CHOSEN_BY}
Completions are greedy, by the model as it is loaded to answer questions.
The loss is that of the model as it was trained: its adapter neither merged into
it nor rounded to bfloat16.

| | {record.base} | with this adapter |
| --- | --- | --- |
{rows}
{told_gain(record.scores)}
`{LOG}` holds the mean loss of every ten steps, and every look at what is held out.
"""


def verdict(usable: str) -> str:
    """Whether what was tuned may be used, in words."""
    if usable == BETTER:
        return "On what was held out it is better than its base."
    if usable == FORCED:
        return (
            "**On what was held out it is not better than its base; that it is used nevertheless "
            "was forced by a person (`--force`).**"
        )
    return "**On what was held out it is not better than its base, so it is not used.**"


def told_gain(scores: Mapping[str, Any]) -> str:
    """A card's paragraph on the gain; empty where none was kept."""
    words = gain_words(scores)
    return f"\nGain in {words}\n" if words else ""


def _shown(scores: Mapping[str, Any], name: str) -> str:
    value = scores.get(name)
    return "–" if value is None else f"{value:.4f}" if name == "loss" else f"{value:.3f}"
