"""`cloister models finetune`: a LoRA adapter for an open model, from examples."""

from __future__ import annotations

import math
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag.printing import json_line, printable
from rag.settings import Settings
from rag.tuning.recipe import Recipe

if TYPE_CHECKING:
    from rag.models.adapter import AdapterRecord
    from rag.tuning.examples import Example
    from rag.tuning.finetune import Job, Outcome

_DEFAULT = Recipe()
_INTERRUPTED = 130
_SHOWN = {
    "loss": "loss",
    "exact": "exact",
    "f1": "F1",
    "cited_right": "cited right",
    "declined_answerable": "declined answerable",
    "declined_unanswerable": "declined unanswerable",
    "quality": "quality",
}


class _Finite(click.FloatRange):
    """A range that neither nan, which no bound refuses, nor inf is in."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number.", param, ctx)
        return number


@click.command(
    epilog="Example: cloister models finetune SmolLM2-135M-Instruct --data examples.jsonl"
)
@click.argument("base")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="JSONL file of examples: question, passages (title, text), answer with its marks, "
    "document.",
)
@click.option(
    "--from-answers",
    is_flag=True,
    help="In place of --data: the answers of this library that people rated right.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of the adapter. Default: BASE-adapter in the models folder.",
)
@click.option(
    "--licence", default="not stated", metavar="TEXT", help="Licences of the data, for the card."
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=_DEFAULT.seed,
    show_default=True,
    help="Decides what is by chance.",
)
@click.option(
    "--epochs",
    type=click.IntRange(1),
    default=_DEFAULT.epochs,
    show_default=True,
    help="Passes over the examples, at most.",
)
@click.option(
    "--rank",
    type=click.IntRange(1),
    default=_DEFAULT.rank,
    show_default=True,
    help="Rank of the adapter; its alpha is twice as much.",
)
@click.option(
    "--learning-rate",
    type=_Finite(0, 1, min_open=True),
    default=_DEFAULT.learning_rate,
    show_default=True,
    help="Highest learning rate.",
)
@click.option(
    "--batch",
    type=click.IntRange(1),
    default=_DEFAULT.batch,
    show_default=True,
    help="Examples a step; how many are computed at once follows from the memory.",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(1),
    default=_DEFAULT.max_tokens,
    show_default=True,
    help="Most tokens of an example; passages that its answer does not cite are cut to fit.",
)
@click.option(
    "--held-out",
    type=click.IntRange(1),
    help="Examples not trained on, at least, but never more than half: a tenth by default, at most "
    "200.",
)
@click.option(
    "--minutes",
    type=_Finite(0, min_open=True),
    help="Stop training after so long; the same command goes on with it.",
)
@click.option("--force", is_flag=True, help="Allow the adapter even if it is no better.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line on stdout.")
@click.pass_obj
def finetune(
    settings: Settings,
    /,
    base: str,
    data: Path | None,
    from_answers: bool,
    out: Path | None,
    licence: str,
    minutes: float | None,
    force: bool,
    as_json: bool,
    **recipe: Any,
) -> None:
    """Train a LoRA adapter for the model BASE on examples of grounded answers.

    BASE is a name in the models folder or a path. A part of the documents is held out to measure
    on. Ctrl-C, SIGTERM and --minutes keep what was done, and the same command goes on.
    """
    from rag.errors import UsageError
    from rag.models.folder import find_model, verify
    from rag.tuning.finetune import Job
    from rag.tuning.finetune import finetune as run

    if from_answers == bool(data):
        raise UsageError("Give the examples as --data FILE, or --from-answers.")
    folder = find_model(settings.models_path, base)
    verify(folder)
    job = Job(
        base=folder,
        data=data,
        out=out or settings.models_path / f"{folder.path.name}-adapter",
        recipe=Recipe(**recipe),
        minutes=minutes,
        force=force,
        licence=licence,
        command=_command(folder.name, data, licence, Recipe(**recipe)),
        given=_from_answers(settings) if from_answers else (),
    )

    def tell(line: str) -> None:
        click.echo(printable(line), err=True)

    heard = False

    def stop() -> bool:
        nonlocal heard
        if asked.is_set() and not heard:
            heard = True
            tell("Stopping; what was done is kept …")
        return heard

    with _signals() as asked:
        outcome = run(job, settings, tell, stop)
    if as_json:
        click.echo(json_line(_row(job, outcome)))
    elif outcome.record:
        click.echo(_told(outcome.record, _setting_of(job.out, settings)))
    if outcome.record is None:
        tell(
            f"Stopped after step {outcome.done} of {outcome.steps}; nothing is lost. "
            "Give the same command to go on."
        )
        if asked.is_set():
            sys.exit(_INTERRUPTED)


def _from_answers(settings: Settings) -> tuple[Example, ...]:
    """The answers that people rated right, as examples. Raises UsageError where there are none."""
    from rag.commands.feedback import told
    from rag.errors import UsageError
    from rag.evaluation.rated import example_rows, rated
    from rag.library import open_catalog
    from rag.tuning.examples import example_of

    catalog = open_catalog(settings)
    rows, left_out = example_rows(rated(catalog))
    catalog.close()
    for line in told(left_out):
        click.echo(line, err=True)
    if not rows:
        raise UsageError(
            "There is no answer to learn from that was rated right. Rate some on the ask page."
        )
    return tuple(example_of(row) for row in rows)


def _command(base: str, data: Path | None, licence: str, recipe: Recipe) -> str:
    """The command for the card: what decides the result, without the folders of this machine."""
    source = ["--data", data.name] if data else ["--from-answers"]
    words = ["cloister", "models", "finetune", base, *source, "--licence", licence]
    for name in ("seed", "epochs", "rank", "learning_rate", "batch", "max_tokens", "held_out"):
        if (value := getattr(recipe, name)) is not None:
            words += [f"--{name.replace('_', '-')}", f"{value}"]
    return shlex.join(words)


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; the second one ends the process at once."""
    asked = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, _: Any) -> None:
        asked.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, ask)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _row(job: Job, outcome: Outcome) -> dict[str, Any]:
    record = outcome.record
    return {
        "adapter": job.out.name,
        "base": job.base.name,
        "finished": record is not None,
        "step": outcome.done,
        "steps": outcome.steps,
        "usable": record.usable if record else None,
        "scores": record.scores if record else None,
    }


def _setting_of(out: Path, settings: Settings) -> str:
    """What `llm.adapter` is to be for a folder: its name, where it is in the models folder."""
    return out.name if out.parent == settings.models_path else str(out.absolute())


def _told(record: AdapterRecord, setting: str) -> str:
    """The scores as a table, and whether the adapter may be used, and how."""
    from rag.models.adapter import BETTER, NO

    lines = [f"{'on what was held out':24}{'base':>10}{'tuned':>10}"]
    for name, text in _SHOWN.items():
        values = [record.scores[which].get(name) for which in ("base", "tuned")]
        shown = ["–" if value is None else f"{value:.3f}" for value in values]
        lines.append(f"{text:24}{shown[0]:>10}{shown[1]:>10}")
    if record.usable == NO:
        verdict = (
            "It is not better than its base, so it may not be used. Add examples or change the "
            "options; the same command with --force allows it nevertheless."
        )
    else:
        better = "It is better than its base" if record.usable == BETTER else "It was forced"
        verdict = f"{better}. To use it: set llm.adapter to {setting}"
    return "\n".join(printable(line) for line in [*lines, verdict])
