"""`cloister questions …`: questions of one's own, drafted from the documents and approved."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag.errors import UsageError
from rag.printing import json_line, printable
from rag.settings import Settings

if TYPE_CHECKING:
    from rag.questioning.drafts import DraftFile, Row

_CHOICES = {"y": "yes", "n": "no", "e": "edit", "s": "skip", "q": "quit"}
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON line on stdout.")


@click.group()
def questions() -> None:
    """Draft questions from the documents, and approve them."""


@questions.command(epilog="Example: cloister questions draft questions.jsonl --count 20")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--collection", "collections", multiple=True, help="Only of this collection.")
@click.option(
    "--count", type=click.IntRange(1, 1000), default=20, show_default=True, help="So many drafts."
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    show_default=True,
    help="Decides which sentences are asked about.",
)
@_json
@click.pass_obj
def draft(
    settings: Settings,
    file: Path,
    collections: tuple[str, ...],
    count: int,
    seed: int,
    as_json: bool,
) -> None:
    """Have the LLM in use draft questions, each with its answer and where it stands, into FILE.

    What FILE has already stays. No draft counts as a question until a person approves it: cloister
    questions approve FILE. FILE holds text of documents and does not go when they go.
    """
    from rag.evaluation.files import check_targets
    from rag.library import open_catalog
    from rag.questioning.drafts import DraftFile
    from rag.questioning.filling import fill
    from rag.questioning.targets import draw
    from rag.session import open_session

    check_targets([], None, file)
    catalog = open_catalog(settings)
    try:
        with (
            DraftFile(file, new=True) as drafts,
            open_session(settings, "cloister questions draft") as session,
        ):
            targets = draw(catalog, collections or None, seed)
            done = fill(drafts, targets, session, count, _tell)
    finally:
        catalog.close()
    if as_json:
        told = {"drafts": done.made, "tried": done.tried, "dropped": dict(done.dropped)}
        click.echo(json_line(told))
        return
    for reason, number in done.dropped.most_common():
        click.echo(f"Dropped, {reason}: {number}")
    click.echo(f"{done.made} drafts of {done.tried} sentences tried, in {printable(file)}.")
    if done.gave_up:
        click.echo(f"Gave up after {done.tried} sentences: --seed tries others.")
    elif done.made < count:
        click.echo("There were no more sentences to ask about that gave a draft.")
    if done.made:
        click.echo(f"Read and approve them: cloister questions approve {printable(file)}")


@questions.command(epilog="Example: cloister questions approve questions.jsonl")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def approve(settings: Settings, file: Path) -> None:
    """Go through the drafts of FILE: approve, drop, edit or skip each.

    Each decision is written at once, and the same command goes on with those that are left.
    """
    from rag.questioning.drafts import DraftFile

    with DraftFile(file) as drafts:
        waiting = drafts.waiting()
        for number, row in enumerate(waiting, 1):
            click.echo(f"\n{number} of {len(waiting)}")
            if _ask(drafts, row) == "q":
                break
        approved = sum(row.get("approved") is True for row in drafts.rows)
        left = len(drafts.waiting())
    click.echo(f"\n{approved} approved, {left} left to decide on, in {printable(file)}.")


@questions.command(epilog="Example: cloister questions export questions.jsonl examples.jsonl")
@click.argument("source", metavar="QUESTIONS", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--collection",
    "collections",
    multiple=True,
    help="Search only this collection, where a question names none.",
)
@_json
@click.pass_obj
def export(
    settings: Settings, source: Path, file: Path, collections: tuple[str, ...], as_json: bool
) -> None:
    """Write QUESTIONS as examples to FILE, for cloister models finetune --data FILE.

    Each gets the passages that a search finds for it, and its evidence as the answer; drafts that
    nobody approved are left out. FILE holds text of documents and does not go when they go.
    """
    from rag.evaluation.collections import check_collections
    from rag.evaluation.files import check_targets, write_rows
    from rag.evaluation.questions import read_questions
    from rag.library import open_catalog
    from rag.questioning.examples import example_row
    from rag.session import open_session

    check_targets([source], None, file)
    items = read_questions(source, tell_drafts)
    with closing(open_catalog(settings)) as catalog:
        check_collections(catalog, items, str(source))
    rows = []
    with open_session(settings, "cloister questions export", llm=False) as session:
        for item in items:
            row = example_row(session, item, collections or None, settings)
            if row is not None:
                rows.append(row)
    write_rows(file, rows)
    left_out = len(items) - len(rows)
    if as_json:
        click.echo(json_line({"written": len(rows), "left_out": left_out}))
        return
    click.echo(f"{len(rows)} written to {printable(file)}.")
    if left_out:
        click.echo(f"Left out, without evidence that is in the library: {left_out}")


def tell_drafts(count: int) -> None:
    """Say that drafts were left out."""
    number = (
        "1 draft that nobody approved is"
        if count == 1
        else (f"{count} drafts that nobody approved are")
    )
    click.echo(f"{number} left out. To read them: cloister questions approve FILE", err=True)


def _tell(line: str) -> None:
    click.echo(printable(line), err=True)


def _ask(drafts: DraftFile, row: Row) -> str:
    """Ask a person about a draft until there is a decision, and note it."""
    while True:
        _show(row)
        choice = str(
            click.prompt(
                ", ".join(f"{key} {word}" for key, word in _CHOICES.items()),
                type=click.Choice(list(_CHOICES)),
                show_choices=False,
            )
        )
        if choice == "e":
            question = _prompt("Question", row["question"])
            answer = _prompt("Answer", next(iter(row.get("answers", ())), ""))
            try:
                drafts.change(row, question.strip(), answer.strip())
            except UsageError as error:
                click.echo(str(error))
            continue
        if choice in ("y", "n"):
            drafts.decide(row, choice == "y")
        return choice


def _prompt(what: str, text: str) -> str:
    """Ask for other words than the text, which stands above and is kept where none are given."""
    return str(click.prompt(f"{what} (Enter keeps it)", default=text, show_default=False))


def _show(row: Mapping[str, Any]) -> None:
    click.secho(printable(row["question"]), bold=True)
    click.echo(f"  answer: {printable(' | '.join(row.get('answers', ()))) or '(none)'}")
    if row.get("collection"):
        click.echo(f"  asked of the collection {printable(row['collection'])}")
    for place in row.get("evidence", ()):
        where = printable(place["source"])
        if place.get("page") is not None:
            where += f", page {printable(place['page'])}"
        quote = printable(" ".join(place.get("quote", "").split()))
        click.echo(f"  {where}: “{quote}”" if quote else f"  {where}")
    sys.stdout.flush()
