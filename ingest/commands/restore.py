"""`cloister ingest restore`."""

from __future__ import annotations

from typing import Any

import click

from ingest.commands.shared import (
    finish_queue,
    json_option,
    progress_for,
    reasons,
    say_failures,
)
from rag.printing import json_line, printable
from rag.settings import Settings


@click.command(epilog="Example: cloister ingest restore doc_0123456789abcdef")
@click.argument("documents", nargs=-1)
@json_option
@click.pass_obj
def restore(settings: Settings, documents: tuple[str, ...], as_json: bool) -> None:
    """Take DOCUMENTS back into the library that were removed and whose files are still there.

    Those of a synced folder come back with its next sync; those within an archive or a mail are
    read again now. Without DOCUMENTS it lists what can be restored.
    """
    from rag.catalog.failures import document_failures
    from rag.catalog.restoring import removed_documents
    from rag.catalog.restoring import restore as restore_document
    from rag.errors import NotFound
    from rag.library import open_catalog

    catalog = open_catalog(settings)
    awaited: list[str] = []
    queued: list[str] = []
    errors: list[tuple[str, str]] = []
    for name in documents:
        try:
            (queued if restore_document(catalog, name) else awaited).append(name)
        except NotFound as error:
            errors.append((name, str(error)))
    is_read = _read(settings, catalog, as_json) if queued else True
    errors += document_failures(catalog, queued)
    removed = removed_documents(catalog)
    catalog.close()
    if as_json:
        left = [{"id": r.document_id, "source": r.source, "folder": r.folder} for r in removed]
        done = [*awaited, *queued]
        click.echo(json_line({"restored": done, "removed": left, "failures": reasons(errors)}))
    elif documents:
        _say(len(awaited), len(queued), is_read)
    else:
        for item in removed:
            place = f"in {item.folder}" if item.folder else "in a file that was added"
            click.echo(printable(f"{item.document_id}  {item.source}  {place}"))
        click.echo(f"{len(removed)} removed")
    say_failures(errors)
    raise SystemExit(1 if errors else 0)


def _read(settings: Settings, catalog: Any, as_json: bool) -> bool:
    """Have the queue read; False where another command is in the way."""
    from rag.errors import Busy

    try:
        with progress_for(as_json) as progress:
            finish_queue(settings, catalog, "cloister ingest restore", progress, wait=True)
    except Busy:
        return False
    return True


def _say(awaited: int, queued: int, is_read: bool) -> None:
    if awaited:
        click.echo(f"restored {awaited}: the next sync of their folder takes them in")
    if queued:
        when = "read again by now" if is_read else "read by the command at work, or the next one"
        click.echo(f"restored {queued} within archives or mails: {when}")
    if not awaited and not queued:
        click.echo("restored 0")
