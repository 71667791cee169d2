"""`cloister feedback …`: what people said of answers, to read, to measure with, to learn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from rag.printing import json_line, printable
from rag.settings import Settings

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON line on stdout.")


@click.group()
def feedback() -> None:
    """List and export what people said of answers."""


@feedback.command("list", epilog="Example: cloister feedback list --rating wrong")
@click.option("--rating", type=click.Choice(["right", "wrong"]), help="Only these.")
@_json
@click.pass_obj
def list_(settings: Settings, rating: str | None, as_json: bool) -> None:
    """List the answers that people rated, the newest first."""
    from rag.catalog.feedback import rated_answers
    from rag.library import open_catalog
    from rag.records import to_json

    catalog = open_catalog(settings)
    found = [
        {**to_json(said), "question": record["question"], "answer": record["text"]}
        for said, record in rated_answers(catalog)
        if rating in (None, said.rating)
    ]
    catalog.close()
    if as_json:
        click.echo(json_line({"feedback": found}))
        return
    for row in found:
        _show(row)


@feedback.command(epilog="Example: cloister feedback export --for evaluate questions.jsonl")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--for",
    "purpose",
    type=click.Choice(["evaluate", "finetune"]),
    required=True,
    help="Questions to measure with, or examples to tune an LLM on.",
)
@_json
@click.pass_obj
def export(settings: Settings, file: Path, purpose: str, as_json: bool) -> None:
    """Write what people said of answers to FILE, one JSON object a line.

    FILE then holds text of documents, and does not go when they go.
    """
    from rag.evaluation.files import check_targets, write_rows
    from rag.evaluation.rated import example_rows, question_rows, rated
    from rag.library import open_catalog

    check_targets([], None, file)
    make = question_rows if purpose == "evaluate" else example_rows
    catalog = open_catalog(settings)
    rows, left_out = make(rated(catalog))
    catalog.close()
    write_rows(file, rows)
    if as_json:
        click.echo(json_line({"written": len(rows), "left_out": dict(left_out)}))
        return
    click.echo(f"{len(rows)} written to {printable(file)}.")
    for line in told(left_out):
        click.echo(line)


@feedback.command(epilog="Example: cloister feedback votes --json")
@_json
@click.pass_obj
def votes(settings: Settings, as_json: bool) -> None:
    """Tell what the votes on two models' answers come to, for each two models.

    The p is that of an exact sign test: of the chance of so uneven a result were both equally good.
    """
    from rag.catalog.votes import votes as cast
    from rag.evaluation.votes import tally
    from rag.library import open_catalog
    from rag.records import to_json

    catalog = open_catalog(settings)
    pairs = tally(cast(catalog))
    catalog.close()
    if as_json:
        click.echo(json_line({"pairs": to_json(pairs)}))
        return
    for pair in pairs:
        click.echo(f"{printable(pair.first)} better: {pair.first_better}")
        click.echo(f"{printable(pair.second)} better: {pair.second_better}")
        ties = f"both right: {pair.both}, both wrong: {pair.neither}"
        click.echo(f"  {ties}, p of the sign test: {pair.p:.3g}")


def told(left_out: Counter[str]) -> Sequence[str]:
    """How many answers were left out and why, a line each."""
    return [f"Left out, {reason}: {count}" for reason, count in left_out.most_common()]


def _show(row: Mapping[str, Any]) -> None:
    click.echo(f"{row['rated_at'][:10]}  {row['rating']:5}  {row['answer_id']}")
    for name in ("question", "answer", "correct_answer", "comment"):
        if row[name]:
            text = printable(" ".join(row[name].split()))
            click.echo(f"  {name.replace('_', ' ')}: {text}")
