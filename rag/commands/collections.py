"""`cloister collections …`: the parts of the library, and what writes the answers from each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from rag.commands.parameters import chosen_parameters, parameter_options
from rag.parameters import PARAMETERS
from rag.printing import json_line, printable
from rag.settings import Settings

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON line on stdout.")
_MODEL = "model"
_UNSET = click.Choice([*(parameter.name.replace("_", "-") for parameter in PARAMETERS), _MODEL])


@click.group()
def collections() -> None:
    """List the collections, and set how answers from them are generated."""


@collections.command("list", epilog="Example: cloister collections list --json")
@_json
@click.pass_obj
def list_(settings: Settings, as_json: bool) -> None:
    """List the collections with their documents, models and parameters."""
    from rag.catalog.collections import list_collections
    from rag.library import open_catalog
    from rag.records import to_json

    catalog = open_catalog(settings)
    found = list_collections(catalog)
    catalog.close()
    if as_json:
        click.echo(json_line({"collections": to_json(found)}))
        return
    for item in found:
        one = "document " if item.documents == 1 else "documents"
        line = f"{item.name:24} {item.documents:8,} {one}  {_told(item.parameters, item.model)}"
        click.echo(line.rstrip())


@collections.command("set", epilog="Example: cloister collections set legal --temperature 0.2")
@click.argument("name")
@click.option(
    "--model",
    help="Model of the models folder that writes the answers: NAME, NAME+ADAPTER, or none.",
)
@parameter_options
@click.option("--unset", multiple=True, type=_UNSET, help="Forget this parameter's value.")
@_json
@click.pass_obj
def set_(
    settings: Settings,
    /,
    name: str,
    model: str | None,
    unset: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Set what answers from collection NAME are generated with, where a question does not say.

    It holds from the next question on, where that collection alone is asked.
    """
    from rag.catalog.collections import change_model, change_parameters, list_collections
    from rag.errors import UsageError
    from rag.library import open_catalog
    from rag.model_pick import resolve_by_settings
    from rag.parameters import check_limits

    changes: dict[str, Any] = {**chosen_parameters(options)}
    if model is not None:
        changes[_MODEL] = resolve_by_settings(settings, model)
    both = [flag for flag in unset if flag.replace("-", "_") in changes]
    if both:
        raise UsageError(f"--{both[0]} is given, and --unset {both[0]} too. Leave one out.")
    changes |= {flag.replace("-", "_"): None for flag in unset}
    if not changes:
        raise UsageError("Nothing is given to set. See `cloister collections set --help`.")
    changed, chosen = _MODEL in changes, changes.pop(_MODEL, None)
    check_limits(changes, settings, of_collection=True)
    catalog = open_catalog(settings)
    change_parameters(catalog, name, changes)
    if changed:
        change_model(catalog, name, chosen or "")
    (kept,) = (one for one in list_collections(catalog) if one.name == name)
    catalog.close()
    if as_json:
        click.echo(
            json_line({"name": name, "parameters": dict(kept.parameters), "model": kept.model})
        )
    else:
        told = _told(kept.parameters, kept.model)
        click.echo(f"{name}: {told or 'the model and parameters of the settings'}")


def _told(parameters: Mapping[str, Any], model: str) -> str:
    given = {**({_MODEL: model} if model else {}), **parameters}
    return ", ".join(
        f"{name.replace('_', '-')} {printable(str(value))}" for name, value in given.items()
    )
