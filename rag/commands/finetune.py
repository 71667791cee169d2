"""`cloister models finetune`: an adapter for an LLM, or a tuned embedder, from examples."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag.commands.stopping import INTERRUPTED, stop_signals
from rag.errors import UsageError
from rag.printing import json_line, printable
from rag.settings import Settings
from rag.tuning.recipe import EmbedderRecipe, Recipe, Schedule

if TYPE_CHECKING:
    import threading

    from rag.tuning.examples import Example
    from rag.tuning.job import Job, Outcome

_DEFAULT, _OF_EMBEDDERS = Recipe(), EmbedderRecipe()
_OPTIONS = (
    *("seed", "epochs", "rank", "learning_rate", "batch", "max_tokens", "negatives", "held_out"),
)
_SHOWN_OF_EMBEDDERS = {
    "recall@1": "recall@1",
    "recall@5": "recall@5",
    "mrr@10": "MRR@10",
    "ndcg@10": "nDCG@10",
    "loss": "loss",
}
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
    "document; or, for an embedder, question, positive, negatives, document.",
)
@click.option(
    "--from-answers",
    is_flag=True,
    help="In place of --data: the answers of this library that people rated right.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of the result. Default: BASE-adapter, or BASE-tuned of an embedder, in the "
    "models folder.",
)
@click.option(
    "--licence", default="not stated", metavar="TEXT", help="Licences of the data, for the card."
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    help=f"Decides what is by chance. Default: {_DEFAULT.seed}.",
)
@click.option(
    "--epochs",
    type=click.IntRange(1),
    help=f"Passes over the examples, at most. Default: {_DEFAULT.epochs}.",
)
@click.option(
    "--rank",
    type=click.IntRange(1),
    help=f"Rank of the adapter; its alpha is twice as much. Default: {_DEFAULT.rank}.",
)
@click.option(
    "--learning-rate",
    type=_Finite(0, 1, min_open=True),
    help=f"Highest learning rate. Default: {_DEFAULT.learning_rate:g}; of an embedder "
    f"{_OF_EMBEDDERS.learning_rate:g}.",
)
@click.option(
    "--batch",
    type=click.IntRange(1),
    help=f"Examples a step. Default: {_DEFAULT.batch}; of an embedder {_OF_EMBEDDERS.batch}.",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(1),
    help="Most tokens of an example; passages that its answer does not cite are cut to fit. "
    f"Default: {_DEFAULT.max_tokens}.",
)
@click.option(
    "--negatives",
    type=click.IntRange(0),
    help="Of an embedder: passages that do not answer, of each question, beside those of the "
    f"others. Default: {_OF_EMBEDDERS.negatives}.",
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
@click.option("--force", is_flag=True, help="Allow the result even if it is no better.")
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
    """Train a LoRA adapter for the LLM BASE, or tune the embedder BASE, on examples.

    BASE is a name in the models folder or a path. A part of the documents is held out to measure
    on. Ctrl-C, SIGTERM and --minutes keep what was done, and the same command goes on.
    """
    from rag.models.folder import EMBEDDER, find_model, verify
    from rag.tuning.job import Job

    if from_answers == bool(data):
        raise UsageError("Give the examples as --data FILE, or --from-answers.")
    folder = find_model(settings.models_path, base)
    verify(folder)
    embeds = folder.task == EMBEDDER
    made, kind = ("embedder", EmbedderRecipe) if embeds else ("adapter", Recipe)
    chosen = _recipe(kind, recipe, folder.name)
    suffix = "tuned" if embeds else "adapter"
    job = Job(
        base=folder,
        data=data,
        out=out or settings.models_path / f"{folder.path.name}-{suffix}",
        recipe=chosen,
        minutes=minutes,
        force=force,
        licence=licence,
        command=_command(folder.name, data, licence, chosen),
        given=_from_answers(settings) if from_answers and not embeds else (),
    )
    with stop_signals() as asked:
        ended = _tuned(job, settings, asked)
    if as_json:
        click.echo(json_line({made: job.out.name, "base": folder.name, **_figures(ended)}))
    elif ended.finished:
        click.echo("\n".join(printable(line) for line in _told(job, ended, settings)))
    if not ended.finished:
        _tell(
            f"Stopped after step {ended.done} of {ended.steps}; nothing is lost. Give the same "
            "command to go on."
        )
        if asked.is_set():
            sys.exit(INTERRUPTED)


def _figures(ended: Outcome) -> dict[str, Any]:
    return {
        "finished": ended.finished,
        "step": ended.done,
        "steps": ended.steps,
        "usable": ended.usable,
        "scores": ended.scores,
    }


def _tuned(job: Job[Any], settings: Settings, asked: threading.Event) -> Outcome:
    """Train as asked for, until it is done or told to stop."""
    heard = False

    def stop() -> bool:
        nonlocal heard
        if asked.is_set() and not heard:
            heard = True
            _tell("Stopping; what was done is kept …")
        return heard

    if isinstance(job.recipe, EmbedderRecipe):
        from rag.tuning.embedder.finetune import finetune_embedder

        return finetune_embedder(job, settings, _tell, stop)
    from rag.tuning.finetune import finetune

    return finetune(job, settings, _tell, stop)


def _tell(line: str) -> None:
    click.echo(printable(line), err=True)


def _from_answers(settings: Settings) -> tuple[Example, ...]:
    """The answers that people rated right, as examples. Raises UsageError where there are none."""
    from rag.commands.feedback import told
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


def _recipe(kind: type[Schedule], given: dict[str, Any], base: str) -> Schedule:
    """The recipe of what was given. Raises UsageError for an option of the other kind of model."""
    chosen = {name: value for name, value in given.items() if value is not None}
    known = {field.name for field in fields(kind)}
    if foreign := sorted(set(chosen) - known):
        what = "an embedder" if kind is EmbedderRecipe else "an LLM"
        raise UsageError(
            f"--{foreign[0].replace('_', '-')} says nothing of {base}, which is {what}. Leave it "
            "out."
        )
    return kind(**chosen)


def _command(base: str, data: Path | None, licence: str, recipe: Schedule) -> str:
    """The command for the card: what decides the result, without the folders of this machine."""
    source = ["--data", data.name] if data else ["--from-answers"]
    words = ["cloister", "models", "finetune", base, *source, "--licence", licence]
    for name in _OPTIONS:
        if (value := getattr(recipe, name, None)) is not None:
            words += [f"--{name.replace('_', '-')}", f"{value}"]
    return shlex.join(words)


def _told(job: Job[Any], ended: Outcome, settings: Settings) -> Iterator[str]:
    """The scores as a table, and whether the result may be used, and how."""
    from rag.models.adapter import BETTER, NO
    from rag.tuning.gain import CHOSEN_BY, gain_words

    # a folder's name, where it is in the models folder
    name = job.out.name if job.out.parent == settings.models_path else str(job.out.absolute())
    if isinstance(job.recipe, EmbedderRecipe):
        shown = _SHOWN_OF_EMBEDDERS
        use = f"set embedder.model to {name}, and read the documents again with it: "
        use += "cloister ingest rebuild"
    else:
        shown, use = _SHOWN, f"set llm.adapter to {name}"
    scores = ended.scores or {}
    yield f"{'on what was held out':24}{'base':>10}{'tuned':>10}"
    for score, text in shown.items():
        values = [scores[which].get(score) for which in ("base", "tuned")]
        cells = ["–" if value is None else f"{value:.3f}" for value in values]
        yield f"{text:24}{cells[0]:>10}{cells[1]:>10}"
    if words := gain_words(scores):
        yield words
    yield CHOSEN_BY
    if ended.usable == NO:
        yield (
            "It is not better than its base, so it may not be used. Add examples or change the "
            "options; the same command with --force allows it nevertheless."
        )
    else:
        better = "It is better than its base" if ended.usable == BETTER else "It was forced"
        yield f"{better}. To use it: {use}"
