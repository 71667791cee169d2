"""`cloister models …`: the open models that this library can use."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from rag.commands.finetune import finetune
from rag.commands.models_add import add
from rag.commands.models_pull import pull
from rag.commands.models_remove import remove
from rag.commands.models_use import use
from rag.errors import ModelError
from rag.printing import json_line, printable
from rag.settings import Settings

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON line on stdout.")


@click.group()
def models() -> None:
    """Fetch, list, change and tune the open models."""


models.add_command(finetune)
models.add_command(add)
models.add_command(pull)
models.add_command(remove)
models.add_command(use)


@models.command("list", epilog="Example: cloister models list --json")
@_json
@click.pass_obj
def list_(settings: Settings, as_json: bool) -> None:
    """List the models in the models folder, and the adapters."""
    from rag.models.adapter import list_adapters
    from rag.models.folder import list_models

    chosen = {settings.llm_model, settings.embedder_model}
    rows = [
        {
            "name": folder.name,
            "task": folder.task,
            "revision": folder.revision or None,
            "licence": folder.licence,
            "bytes": _size(folder.path),
            "in_use": bool({folder.name, folder.path.name, str(folder.path)} & chosen),
        }
        for folder in list_models(settings.models_path, _tell_damaged)
    ]
    rows += [
        {
            "name": adapter.name,
            "task": "adapter",
            "revision": adapter.revision,
            "licence": f"for {adapter.record.base}",
            "bytes": _size(adapter.path),
            "in_use": settings.llm_adapter in (adapter.name, str(adapter.path)),
        }
        for adapter in list_adapters(settings.models_path, _tell_damaged)
    ]
    if as_json:
        click.echo(json_line({"models": rows}))
        return
    for row in rows:
        line = (
            f"{'*' if row['in_use'] else ' '} {row['name']:32} {row['task']:9} "
            f"{row['revision'] or 'not recorded':13} {row['licence']:12} "
            f"{int(str(row['bytes'])) / 1e6:8.0f} MB"
        )
        click.echo(printable(line))
    if not rows:
        click.echo(
            "No model is here. Fetch the starter pair: cloister models add starter", err=True
        )
    sys.stdout.flush()


def _tell_damaged(error: ModelError) -> None:
    click.echo(printable(str(error)), err=True)


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
