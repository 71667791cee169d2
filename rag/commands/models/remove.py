"""`cloister models remove`: a model or an adapter leaves the models folder."""

from __future__ import annotations

import click

from rag.printing import json_line, printable
from rag.session import model_in_use
from rag.settings import Settings


@click.command(epilog="Example: cloister models remove SmolLM2-360M-Instruct")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line on stdout.")
@click.pass_obj
def remove(settings: Settings, name: str, as_json: bool) -> None:
    """Delete a model or an adapter, and what broken-off commands left of one.

    Refused for what a setting names, the running server uses or another process is making. Other
    libraries that share the models folder are not asked.
    """
    from rag.models.removing import remove as run

    freed = run(settings, name, model_in_use(settings))
    if as_json:
        click.echo(json_line({"removed": name, "bytes": freed}))
    else:
        click.echo(printable(f"{name} was removed: {freed / 1e6:,.0f} MB."))
