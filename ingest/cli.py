"""`cloister ingest …`: documents in and out of the library, from a terminal or from cron."""

from __future__ import annotations

from pathlib import Path

import click

from ingest.commands.check import check
from ingest.commands.rebuild import rebuild
from ingest.commands.restore import restore
from ingest.commands.shared import (
    collection_option,
    create_option,
    finish_queue,
    json_option,
    need_collection,
    progress_for,
    reasons,
    say_failures,
)
from ingest.commands.sync import sync
from ingest.commands.watch import watch
from rag.printing import json_line, printable
from rag.settings import Settings


@click.group()
def ingest() -> None:
    """Add, sync, list and remove documents."""


@ingest.command(epilog="Example: cloister ingest add handbook.pdf minutes.docx")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@collection_option
@create_option
@json_option
@click.pass_obj
def add(
    settings: Settings,
    files: tuple[Path, ...],
    collection: str,
    create_collection: bool,
    as_json: bool,
) -> None:
    """Add FILES to the library and wait until they are searchable."""
    from ingest.uploads import clean_name, receive
    from rag.catalog.documents import get_document
    from rag.catalog.failures import document_failures
    from rag.errors import CloisterError
    from rag.library import open_catalog

    catalog = open_catalog(settings)
    need_collection(catalog, collection, create_collection)
    taken: list[str] = []
    known: list[tuple[str, str]] = []
    errors: list[tuple[str, str]] = []
    for path in files:
        try:
            with path.open("rb") as stream:
                name, _ = receive(settings, catalog, stream, path.name, collection)
                taken.append(name)
            source = get_document(catalog, name).source
            if source != clean_name(path.name):
                known.append((str(path), f"its bytes are in the library already as “{source}”"))
        except (CloisterError, OSError) as error:
            reason = str(error) if isinstance(error, CloisterError) else str(error.strerror)
            errors.append((str(path), reason))
    if taken:
        with progress_for(as_json) as progress:
            finish_queue(settings, catalog, "cloister ingest add", progress, wait=True)
    documents = [get_document(catalog, name) for name in dict.fromkeys(taken)]
    errors += document_failures(catalog, dict.fromkeys(taken))
    catalog.close()
    live = [d for d in documents if d.state != "failed"]
    if as_json:
        added = [{"id": d.id, "source": d.source, "state": d.state} for d in live]
        told = {"documents": added, "known": reasons(known), "failures": reasons(errors)}
        click.echo(json_line(told))
    for document in [] if as_json else live:
        inside = f", {document.members} files in it" if document.members else ""
        click.echo(f"{document.id}  {printable(document.source)}  {document.chunks} chunks{inside}")
    for path_name, reason in [] if as_json else known:
        click.echo(printable(f"{path_name}: {reason}"))
    say_failures(errors)
    raise SystemExit(1 if errors else 0)


@ingest.command(epilog="Example: cloister ingest remove doc_0123456789abcdef")
@click.argument("documents", nargs=-1, required=True)
@json_option
@click.pass_obj
def remove(settings: Settings, documents: tuple[str, ...], as_json: bool) -> None:
    """Take DOCUMENTS (ids, see `cloister ingest status`) out of the library."""
    from rag.catalog.documents import remove as remove_document
    from rag.errors import Busy, NotFound, StorageError
    from rag.library import open_catalog

    catalog = open_catalog(settings)
    later = ""
    gone: list[str] = []
    errors: list[tuple[str, str]] = []
    for name in documents:
        try:
            remove_document(catalog, name)
            gone.append(name)
        except (NotFound, StorageError) as error:
            errors.append((name, str(error)))
    if gone:
        try:
            with progress_for(as_json) as progress:
                finish_queue(settings, catalog, "cloister ingest remove", progress, wait=False)
        except Busy:
            pass  # they answer nothing any more; who has the library sweeps
        except StorageError as error:
            later = str(error)
    catalog.close()
    if as_json:
        told = {"later": later} if later else {}
        click.echo(json_line({"removed": gone, "failures": reasons(errors), **told}))
    else:
        click.echo(f"removed {len(gone)}")
        if later:
            click.echo(
                f"They answer no question any more. What else there was to do waits: {later}",
                err=True,
            )
    say_failures(errors)
    raise SystemExit(1 if errors else 0)


@ingest.command(epilog="Example: cloister ingest status --json")
@json_option
@click.pass_obj
def status(settings: Settings, as_json: bool) -> None:
    """List the documents with their states and languages."""
    from rag.catalog.documents import count_states, list_documents
    from rag.library import open_catalog
    from rag.records import to_json

    catalog = open_catalog(settings)
    states = count_states(catalog)
    listed, after = [], None
    while batch := list_documents(catalog, 500, after):
        listed.extend(batch)
        after = (batch[-1].source, batch[-1].id)
    catalog.close()
    if as_json:
        click.echo(json_line({"states": states, "documents": to_json(listed)}))
        return
    for document in listed:
        notes = [note for note in (document.error, document.unread) if note]
        note = f"  {'; '.join(notes)}" if notes else ""
        row = f"{document.id}  {document.state:9}  {document.language or '-':3}  {document.source}"
        click.echo(printable(row + note))
    click.echo(", ".join(f"{n} {state}" for state, n in sorted(states.items())) or "empty library")


for _command in (sync, check, rebuild, restore, watch):
    ingest.add_command(_command)
