"""`cloister models compare`: several models on the same questions and passages."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag.commands.stopping import INTERRUPTED, stop_signals
from rag.durations import duration
from rag.errors import CloisterError, UsageError
from rag.printing import json_line, printable
from rag.settings import Settings

if TYPE_CHECKING:
    import threading

    from rag.comparing.run import Step
    from rag.evaluation.questions import Item
    from rag.session import RemoteSession

_LINE_SECONDS = 10.0
_LOOK_SECONDS = 1.0
_SOME_FAILED = 1


@click.command(
    epilog="Example: cloister models compare SmolLM2-135M-Instruct none "
    "--questions sample_docs/questions.jsonl --split dev --limit 40 --report comparison.html"
)
@click.argument("models", nargs=-1, required=True, metavar="MODEL…")
@click.option(
    "--questions",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="Questions with answers, as `cloister evaluate` reads them (JSONL, CSV, TSV).",
)
@click.option(
    "--collection",
    "collections",
    multiple=True,
    help="Ask only this collection, where a question names none.",
)
@click.option("--split", help="Only the questions of this split (dev, test).")
@click.option(
    "--limit", type=click.IntRange(1), help="So many questions, evenly spread over the file."
)
@click.option("--report", type=click.Path(path_type=Path), help="Write an HTML page to this file.")
@click.option(
    "--per-hour",
    type=click.FloatRange(0),
    help="Price of an hour of the machine or GPU. Default: cost.per_hour.",
)
@click.option("--again", is_flag=True, help="Ask everything anew, whatever was answered before.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line on stdout.")
@click.pass_obj
def compare(
    settings: Settings,
    /,
    models: tuple[str, ...],
    questions: Path,
    collections: tuple[str, ...],
    split: str | None,
    limit: int | None,
    report: Path | None,
    per_hour: float | None,
    again: bool,
    as_json: bool,
) -> None:
    """Ask models the same questions over the same passages, and tell what differs beyond chance.

    MODEL is a name in the models folder, MODEL+ADAPTER, or `none`: quotes without an LLM, a
    baseline. One after another is in memory. Ctrl-C and SIGTERM keep what was answered, and the
    same command goes on. Where a server runs, it does the work.
    """
    from rag.comparing.plan import spread
    from rag.comparing.pricing import priced
    from rag.evaluation.files import check_targets
    from rag.evaluation.questions import read_questions
    from rag.session import open_server

    if per_hour is not None and not math.isfinite(per_hour):
        raise UsageError("The price of an hour must be a finite number.")
    check_targets([questions], None, report)
    items = [item for item in read_questions(questions) if split in (None, item.split)]
    if not items:
        raise UsageError(f"{questions} has no question of the split “{split}”.")
    asked = _Asked(models, spread(items, limit), questions.name, collections or None, again)
    server = open_server(settings)
    with _progress() as tell, stop_signals() as stop:
        if server is None:
            result = _here(settings, asked, tell, stop)
        else:
            result = _there(server, asked, tell, stop)
    if result is None:
        click.echo(
            "Stopped; nothing is lost but the answer under way. Give the same command to go on.",
            err=True,
        )
        sys.exit(INTERRUPTED)
    price = settings.cost_per_hour if per_hour is None else per_hour
    result = priced(result, price, settings.cost_currency)
    if report:
        from rag.comparing.report import render

        report.write_text(render(result), "utf-8")
    if as_json:
        click.echo(json_line({**result, "report": str(report) if report else None}))
    else:
        from rag.comparing.verdict import table

        click.echo("\n".join(printable(line) for line in table(result)))
    if result["skipped"]:
        for one in result["skipped"]:
            click.echo(printable(f"Not compared: {one['name']}. {one['reason']}"), err=True)
        sys.exit(_SOME_FAILED)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be compared, wherever that is done; `name` is that of the questions' file."""

    models: Sequence[str]
    items: Sequence[Item]
    name: str
    collections: Sequence[str] | None
    again: bool


def _here(
    settings: Settings, asked: _Asked, tell: Any, stop: threading.Event
) -> Mapping[str, Any] | None:
    """Compare in this process; None where it was stopped."""
    from rag.comparing.holding import alone
    from rag.comparing.job import begin, do
    from rag.comparing.plan import make_plan
    from rag.comparing.run import Stopped
    from rag.library import Library
    from rag.lock import take_library_lock

    with take_library_lock(settings, "cloister models compare"):
        library = Library(settings)
        try:
            plan = make_plan(
                settings,
                library.catalog,
                asked.models,
                asked.items,
                asked.name,
                asked.collections,
            )
            for one in plan.skipped:
                click.echo(printable(f"Left out: {one.name}. {one.reason}"), err=True)
            overview = begin(library, plan, asked.again)
            library.load(llm=False)
            library.adopt(settings)
            return do(library, plan, overview, alone(), tell, stop)
        except Stopped:
            return None
        finally:
            library.close()


def _there(
    server: RemoteSession, asked: _Asked, tell: Any, stop: threading.Event
) -> Mapping[str, Any] | None:
    """Have the running server compare, and follow it; None where it was stopped."""
    from rag.comparing.run import Step
    from rag.records import to_json

    body = {
        "models": list(asked.models),
        "questions": to_json(tuple(asked.items)),
        "name": asked.name,
        "again": asked.again,
        **({} if asked.collections is None else {"collections": list(asked.collections)}),
    }
    name = server.begin_comparison(body)["id"]
    told_to_stop = False
    while True:
        found = server.comparison(name)
        state = found["progress"]
        if state["state"] not in ("running", "stopping"):
            break
        if stop.is_set() and not told_to_stop:
            server.stop_comparison(name)
            told_to_stop = True
        done = state["done"], state["total"], state["seconds_left"]
        tell(Step(state["stage"], state["model"], *done))
        time.sleep(_LOOK_SECONDS)
    if state["state"] == "failed":
        raise CloisterError(state["problem"])
    if state["state"] == "stopped":  # there may be what came out before
        return None
    result: Mapping[str, Any] | None = found["result"]
    return result


@contextmanager
def _progress() -> Iterator[Any]:
    """Tells how far it is on standard error: a line that is written over, or lines now and then."""
    terminal = sys.stderr.isatty()
    said, last, width = 0.0, "", 0

    def tell(step: Step) -> None:
        nonlocal said, last, width
        now = time.monotonic()
        new = step.model != last or step.stage == "loading"
        if not terminal and not new and now - said < _LINE_SECONDS:
            return
        said, last = now, step.model
        line = printable(_line(step))
        if terminal:
            click.echo(f"\r{line:{width}}", nl=False, err=True)
            width = max(width, len(line))
        else:
            click.echo(line, err=True)

    try:
        yield tell
    finally:
        if terminal and last:
            click.echo(err=True)


def _line(step: Step) -> str:
    if not step.model:
        return f"Searching passages: {step.done} of {step.total} questions"
    if step.stage == "loading":
        return f"{step.model}: loading ({step.done} of {step.total} answers are there)"
    left = "" if step.seconds_left is None else f", {duration(step.seconds_left)} left"
    return f"{step.model}: {step.done} of {step.total} answers{left}"
