"""`cloister search`: the passages that retrieval finds, without an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from rag.commands.filtering import chosen, filter_options
from rag.printing import json_line, printable
from rag.session import open_session
from rag.settings import Settings


@click.command(epilog='Example: cloister search "hotel limit" --limit 3')
@click.argument("query")
@click.option("--collection", "collections", multiple=True, help="Search only this collection.")
@filter_options
@click.option("--limit", type=click.IntRange(1, 100), default=5, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line.")
@click.pass_obj
def search(
    settings: Settings,
    /,
    query: str,
    collections: tuple[str, ...],
    limit: int,
    as_json: bool,
    **filters: Any,
) -> None:
    """Find the passages of the documents that are nearest to QUERY."""
    with open_session(settings, "cloister search", llm=False) as session:
        passages = session.search(query, collections or None, limit, chosen(filters))
    if as_json:
        click.echo(json_line({"passages": passages}))
        return
    if not passages:
        click.echo("Nothing was found. Is anything in the library? See: cloister ingest status")
    for passage in passages:
        source = printable(passage["source"])
        click.secho(f"{source}, page {passage['page']}", bold=True, nl=False)
        click.secho(f"  {passage['score']:.2f}", dim=True)
        click.echo("  " + printable(" ".join(passage["text"].split())[:300]))
        for twin in passage.get("twins", ()):
            click.secho(f"  {_relation(twin)} in {printable(twin['source'])}", dim=True)


def _relation(twin: Mapping[str, Any]) -> str:
    said = {"same": "the same", "similar": "nearly the same"}[twin["relation"]]
    return f"{said}, {twin['age']}," if twin["age"] else said
