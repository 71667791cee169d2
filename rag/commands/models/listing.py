"""`cloister models list`: the models that are here, and those of the catalogue."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from rag.printing import json_line, printable
from rag.settings import Settings

if TYPE_CHECKING:
    from rag.errors import ModelError
    from rag.models.listing import Entry, Here, Listing, Unfinished


@click.command("list", epilog="Example: cloister models list --commercial --fits --language pl")
@click.option("--commercial", is_flag=True, help="Only those whose licence permits commercial use.")
@click.option("--fits", is_flag=True, help="Only those that fit the memory of this machine.")
@click.option(
    "--language", default="", metavar="TAG", help="Only those that know a language, as pl."
)
@click.option(
    "--family", default="", metavar="NAME", help="Only a family, as qwen3 or the start of its name."
)
@click.option("--here", is_flag=True, help="Only those in the models folder.")
@click.option("--task", type=click.Choice(["llm", "embedder", "adapter"]), help="Only of a kind.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line on stdout.")
@click.pass_obj
def list_(settings: Settings, /, as_json: bool, task: str | None, **choice: Any) -> None:
    """List the models in the models folder, the adapters, and the catalogue of open models.

    The first ones are here; * marks what is in use. Of the catalogue, + marks what is here, and
    the licence is said in short: `cloister models show ID` says it in full, with its sources.
    """
    from rag.models.listing import Choice, choose
    from rag.records import to_json

    asked = Choice(task=task or "", **choice)
    found = choose(settings, asked, _tell_damaged)
    if as_json:
        click.echo(json_line(to_json(found)))
        return
    for one in found.models:
        click.echo(printable(_line_here(one)))
    for left in found.unfinished:
        click.echo(printable(_line_unfinished(left)))
    if asked == Choice() and not found.models:
        click.echo(
            "No model is here. Fetch the starter pair: cloister models add starter", err=True
        )
    if not asked.here:
        _print_catalogue(found)
    sys.stdout.flush()


def _print_catalogue(found: Listing) -> None:
    from rag.models.licences import NOT_ADVICE

    if found.models and found.catalogue:
        click.echo()
    if found.catalogue:
        click.echo(f"  {'catalogue':60} {'size':>7} {'bfloat16':>9}  {'fits':9} licence")
    for entry in found.catalogue:
        click.echo(printable(_line(entry)))
    if not found.models and not found.catalogue:
        click.echo("No model is as you asked. Leave an option out.", err=True)
    elif found.catalogue:
        memory = f"{found.machine.bytes / 1e9:.0f} GB of {_KINDS[found.machine.kind]}"
        click.echo(
            f"Fits: the best precision that loads here and whose weights leave this machine "
            f"({memory}) a margin for answers; `cloister models fit ID` is exact. {NOT_ADVICE}",
            err=True,
        )


_KINDS = {"gpu": "GPU memory", "ram": "memory"}


def _line_here(one: Here) -> str:
    return (
        f"{'*' if one.in_use else ' '} {one.name:32} {one.task:9} "
        f"{one.revision or 'not recorded':13} {one.licence:12} {one.bytes / 1e6:8.0f} MB"
    )


def _line_unfinished(left: Unfinished) -> str:
    return (
        f"  {left.name}: {left.doing} it has not ended, {left.bytes / 1e6:,.0f} MB. If that was "
        f"broken off: cloister models remove {left.name}"
    )


def _line(entry: Entry) -> str:
    from rag.models.footprint import count_words

    mark = "*" if entry.in_use else "+" if entry.here else " "
    fits = entry.fits[0] if entry.fits else "no"
    return (
        f"{mark} {entry.id:60} {count_words(entry.parameters):>7} "
        f"{entry.bytes['bfloat16'] / 1e9:6.1f} GB  {fits:9} {entry.licence_summary}"
    )


def _tell_damaged(error: ModelError) -> None:
    click.echo(printable(str(error)), err=True)
