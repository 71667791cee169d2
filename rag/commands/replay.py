"""`cloister replay`: a recorded answer made again, and what differs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from rag.printing import json_line, printable
from rag.session import open_server, open_session
from rag.settings import Settings


@click.command(epilog="Example: cloister replay ans_0123456789abcdef")
@click.argument("answer")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line on stdout.")
@click.pass_obj
def replay(settings: Settings, answer: str, as_json: bool) -> None:
    """Make a recorded answer again, from the same passages by the same model, and compare the text.

    An answer is forgotten when a document goes or changes that it holds text of. Exit code: 0 the
    same text, 1 it differs or could not be made again.
    """
    if open_server(settings) is None:
        settings = _with_its_model(settings, answer)
    if not as_json:
        click.echo("Answering again …", err=True)
    with open_session(settings, "cloister replay") as session:
        found = session.replay(answer)
    if as_json:
        click.echo(json_line(found))
    else:
        _show(found)
    sys.stdout.flush()
    if not found["same"]:
        sys.exit(1)


def _with_its_model(settings: Settings, answer: str) -> Settings:
    """Settings that load the answer's own model, where it is here. Raises NotFound."""
    from rag.catalog.answers import read_answer
    from rag.library import open_catalog
    from rag.replaying import settings_for

    catalog = open_catalog(settings)
    try:
        return settings_for(settings, read_answer(catalog, answer))
    finally:
        catalog.close()


def _show(found: Mapping[str, Any]) -> None:
    if found["same"]:
        click.echo("The same text.")
    elif found["text"] is None:
        click.echo("It could not be made again.")
    else:
        click.echo("The text differs:")
    for line in found["diff"]:
        click.echo(printable(f"  {line}"))
    for one in found["differences"]:
        if one["what"] != "text":
            click.echo(printable(f"{one['what']}: was {one['recorded']}, is {one['now']}"))
