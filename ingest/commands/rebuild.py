"""`cloister ingest rebuild`."""

from __future__ import annotations

import time

import click

from ingest.commands.shared import finish_queue, json_option, progress_for
from rag.printing import json_line
from rag.settings import Settings

_WHAT = "cloister ingest rebuild"


@click.command(epilog="Example: cloister ingest rebuild --json")
@json_option
@click.pass_obj
def rebuild(settings: Settings, as_json: bool) -> None:
    """Bring every document to the current parser, chunk sizes and embedder; then erase.

    What is there answers until the new is ready. In the end both indexes and the catalog's file
    are written anew, so that nothing that was removed is left in any file. Interrupted, it goes
    on where it was. Exits 0 when done, 1 when a document could not be read, 75 when another
    process is at work.
    """
    from ingest.upkeep import do_job, refuse_other_recipe
    from rag.catalog.documents import count_states
    from rag.library import open_catalog

    started = time.monotonic()
    catalog = open_catalog(settings)
    refuse_other_recipe(settings, catalog)
    with progress_for(as_json) as progress:
        finish_queue(settings, catalog, _WHAT, progress, wait=True)
    with progress_for(as_json, "Building the indexes anew", "steps") as progress:
        result = do_job(settings, catalog, _WHAT, "erase", {}, progress.at)
    states = count_states(catalog)
    catalog.close()
    failed = states.get("failed", 0)
    seconds = round(time.monotonic() - started, 3)
    if as_json:
        line = {
            "live": states.get("live", 0),
            "failed": failed,
            "chunks": result["chunks"],
            "seconds": seconds,
        }
        click.echo(json_line(line))
    else:
        click.echo(
            f"rebuilt: {states.get('live', 0)} documents, {result['chunks']} chunks, "
            f"{failed} failed in {seconds:.1f} s"
        )
    raise SystemExit(1 if failed else 0)
