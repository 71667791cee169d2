"""Options and output that the subcommands of `cloister ingest` share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from rag.printing import json_line, printable
from rag.records import DEFAULT_COLLECTION
from rag.settings import Settings

collection_option = click.option(
    "--collection", default=DEFAULT_COLLECTION, show_default=True, help="Collection to put them in."
)
create_option = click.option(
    "--create-collection", is_flag=True, help="Make the collection where it is not there yet."
)
include_option = click.option(
    "--include",
    multiple=True,
    metavar="PATTERN",
    help="Take only files that match, as '*.pdf' or 'contracts/**'; may be given often, and comes "
    "in place of sync.include.",
)
exclude_option = click.option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    help="Leave out files and folders that match, as 'drafts/' or '~$*'; may be given often, and "
    "comes in place of sync.exclude.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON line on stdout.")


def need_collection(catalog: Any, collection: str, create: bool) -> None:
    """See that the collection is there, or make it. Raises UnknownCollection."""
    from rag.catalog.collections import collection_ids, create_collection

    if create:
        create_collection(catalog, collection)
    with catalog.read() as connection:
        collection_ids(connection, [collection])


def progress_for(as_json: bool, label: str = "Reading documents", unit: str = "documents") -> Any:
    """Progress on standard error; none with `--json`."""
    from ingest.progress import Progress

    return Progress(quiet=as_json, label=label, unit=unit)


def finish_queue(
    settings: Settings,
    catalog: Any,
    what: str,
    progress: Any,
    wait: bool,
    folder: int | None = None,
) -> None:
    """See to it that what was registered (of one synced folder) is read."""
    from ingest.following import finish

    finish(settings, catalog, what, progress.left, wait, folder)


def reasons(pairs: list[tuple[str, str]]) -> list[Mapping[str, str]]:
    """(source, reason) pairs as JSON values."""
    return [{"source": source, "reason": reason} for source, reason in pairs]


def say_sync(summary: Mapping[str, Any], as_json: bool) -> None:
    """What a sync did, as a line; what it passed over and failed at on standard error."""
    if as_json:
        click.echo(json_line(summary))
        return
    names = ("new", "changed", "renamed", "unchanged", "removed", "skipped", "failed")
    click.echo(", ".join(f"{summary[name]} {name}" for name in names), nl=False)
    click.echo(f" in {summary['seconds']:.1f} s")
    for skip in summary["skips"]:
        click.echo(printable(f"  skipped {skip['source']}: {skip['reason']}"), err=True)
    say_failures([(f["source"], f["reason"]) for f in summary["failures"]])
    if "read_again" in summary:
        again = "are still to be read" if "busy" in summary else "were read"
        click.echo(
            f"All documents {again} again: this version of Cloister, the embedder, the chunk sizes "
            "or ingest.ocr make other text or vectors of them.",
            err=True,
        )
    if "busy" in summary:
        click.echo(f"{summary['pending']} pending: {summary['busy']}", err=True)


def say_failures(pairs: list[tuple[str, str]]) -> None:
    """Each failure as a line on standard error."""
    for source, reason in pairs:
        click.secho(printable(f"  failed {source}: {reason}"), fg="red", err=True)
