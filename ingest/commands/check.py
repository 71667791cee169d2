"""`cloister ingest check`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import click

from ingest.commands.shared import json_option, progress_for
from rag.errors import UsageError
from rag.printing import json_line, printable
from rag.settings import Settings

_WHAT = "cloister ingest check"


@click.command(epilog="Example: cloister ingest check --repair")
@click.option("--repair", is_flag=True, help="Mend what can be mended.")
@click.option("--unknown", is_flag=True, help="Delete stored files that the catalog never had.")
@json_option
@click.pass_obj
def check(settings: Settings, repair: bool, unknown: bool, as_json: bool) -> None:
    """Compare catalog, indexes and stored files with each other.

    Each chunk is looked up by its own vector and by its words, each stored file is hashed. Without
    --repair nothing is changed; --unknown goes with it. Exits 0 where all is sound (with --repair:
    in the end), 1 where faults were found or are left, 75 when another process is at work.
    """
    from ingest.upkeep import do_job, wait_for_queue
    from rag.library import open_catalog

    if unknown and not repair:
        raise UsageError("--unknown deletes something, so it goes with --repair only.")
    started = time.monotonic()
    catalog = open_catalog(settings)
    asked = {"repair": repair, "unknown": unknown}
    with progress_for(as_json, "Checking", "steps") as progress:
        result = do_job(settings, catalog, _WHAT, "check", asked, progress.at)
        if repair and result["left"]["faults"]:
            wait_for_queue(settings, catalog)
            again = do_job(settings, catalog, _WHAT, "check", {}, progress.at)
            result = {"found": result["found"], "left": again["found"]}
    catalog.close()
    found, left = result["found"], result["left"]
    if as_json:
        counts = {name: left[name] for name in ("documents", "chunks", "originals")}
        summary = {
            "sound": not left["faults"],
            **counts,
            "faults": found["faults"],
            "left": left["faults"],
            "notes": left["notes"],
            "seconds": round(time.monotonic() - started, 3),
        }
        click.echo(json_line(summary))
    else:
        _say(found, left, repair)
    raise SystemExit(1 if left["faults"] else 0)


def _say(found: Mapping[str, Any], left: Mapping[str, Any], repair: bool) -> None:
    from ingest.findings import Fault, described

    looked = f"{left['documents']} documents, {left['chunks']} chunks, {left['originals']} files"
    for item in found["faults"]:
        click.echo(printable(described(Fault(**item))))
    if not found["faults"]:
        click.echo(f"sound: {looked}")
    elif not repair:
        click.echo(f"{len(found['faults'])} kinds of faults in {looked}")
        click.echo("Nothing was changed. To mend: cloister ingest check --repair")
    elif not left["faults"]:
        click.echo(f"mended; sound now: {looked}")
    else:
        click.echo(f"mended, but not all. Left in {looked}:")
        for item in left["faults"]:
            click.echo(printable(described(Fault(**item))))
    for note in left["notes"]:
        click.echo(printable(f"note: {note}"))
