"""`cloister ingest …`: documents in and out of the library, from a terminal or from cron."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from rag.printing import json_line, printable
from rag.records import DEFAULT_COLLECTION
from rag.settings import Settings


@click.group(short_help="Add, sync, list and remove documents.")
def ingest() -> None:
    """Add, sync, list and remove documents."""


_collection = click.option(
    "--collection", default=DEFAULT_COLLECTION, show_default=True, help="Collection to put them in."
)
_create = click.option(
    "--create-collection", is_flag=True, help="Make the collection where it is not there yet."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON line on stdout.")
_wait = click.option("--wait", is_flag=True, help="Return when everything is searchable.")


@ingest.command(epilog="Example: cloister ingest sync ~/documents --wait --json")
@click.argument("folder", type=click.Path(path_type=Path))
@_collection
@_create
@_wait
@click.option("--retry", is_flag=True, help="Try files again that could not be read before.")
@click.option("--confirm-deletions", is_flag=True, help="Remove even if most files are gone.")
@_json
@click.pass_obj
def sync(
    settings: Settings,
    folder: Path,
    collection: str,
    create_collection: bool,
    wait: bool,
    retry: bool,
    confirm_deletions: bool,
    as_json: bool,
) -> None:
    """Bring the library in step with FOLDER: new, changed, moved and vanished files.

    Made for cron: a second run over an unchanged folder changes nothing. Exits 0 when all is
    well, 1 when a file could not be read, 75 when another process is at work.
    """
    from ingest.sync import register
    from rag.catalog.folders import folder_key, known_files, retry_files, unfinished
    from rag.library import open_catalog
    from rag.lock import take_folder_lock

    started = time.monotonic()
    root = folder.expanduser().resolve()
    catalog = open_catalog(settings)
    _make(catalog, collection, create_collection)
    with _progress(as_json) as progress:
        key = folder_key(catalog, str(root), collection)
        with take_folder_lock(settings, key):
            report = register(settings, catalog, root, key, collection, confirm_deletions)
            if retry:
                retry_files(catalog, key)
            progress.left(unfinished(catalog))
            if unfinished(catalog, key) or report.removed:
                _finish(settings, catalog, "cloister ingest sync", progress, wait)
        failed = [file for file in known_files(catalog, key).values() if file.state == "failed"]
    catalog.close()
    failures = report.failures + [(file.source, file.error or "unknown") for file in failed]
    summary = {
        "new": report.new,
        "changed": report.changed,
        "renamed": report.renamed,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "skipped": len(report.skips),
        "failed": len(failures),
        "seconds": round(time.monotonic() - started, 3),
        "failures": _reasons(failures),
        "skips": _reasons(report.skips),
    }
    _say_sync(summary, as_json)
    raise SystemExit(1 if failures else 0)


@ingest.command(epilog="Example: cloister ingest add handbook.pdf minutes.docx")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@_collection
@_create
@_json
@click.pass_obj
def add(
    settings: Settings,
    files: tuple[Path, ...],
    collection: str,
    create_collection: bool,
    as_json: bool,
) -> None:
    """Add FILES to the library and wait until they are searchable."""
    from ingest.uploads import receive
    from rag.catalog.documents import get_document
    from rag.errors import CloisterError
    from rag.library import open_catalog

    catalog = open_catalog(settings)
    _make(catalog, collection, create_collection)
    taken: list[str] = []
    errors: list[tuple[str, str]] = []
    for path in files:
        try:
            with path.open("rb") as stream:
                name, _ = receive(settings, catalog, stream, path.name, collection)
                taken.append(name)
        except (CloisterError, OSError) as error:
            reason = str(error) if isinstance(error, CloisterError) else str(error.strerror)
            errors.append((str(path), reason))
    if taken:
        with _progress(as_json) as progress:
            _finish(settings, catalog, "cloister ingest add", progress, wait=True)
    documents = [get_document(catalog, name) for name in dict.fromkeys(taken)]
    catalog.close()
    errors += [(d.source, d.error or "unknown") for d in documents if d.state == "failed"]
    live = [d for d in documents if d.state != "failed"]
    if as_json:
        added = [{"id": d.id, "source": d.source, "state": d.state} for d in live]
        click.echo(json_line({"documents": added, "failures": _reasons(errors)}))
    for document in [] if as_json else live:
        click.echo(f"{document.id}  {printable(document.source)}  {document.chunks} chunks")
    _say_failures(errors)
    raise SystemExit(1 if errors else 0)


@ingest.command(epilog="Example: cloister ingest remove doc_0123456789abcdef")
@click.argument("documents", nargs=-1, required=True)
@_json
@click.pass_obj
def remove(settings: Settings, documents: tuple[str, ...], as_json: bool) -> None:
    """Take DOCUMENTS (ids, see `cloister ingest status`) out of the library."""
    from rag.catalog.documents import remove as remove_document
    from rag.errors import NotFound
    from rag.library import open_catalog

    catalog = open_catalog(settings)
    gone: list[str] = []
    errors: list[tuple[str, str]] = []
    for name in documents:
        try:
            remove_document(catalog, name)
            gone.append(name)
        except NotFound as error:
            errors.append((name, str(error)))
    if gone:
        with _progress(as_json) as progress:
            _finish(settings, catalog, "cloister ingest remove", progress, wait=False)
    catalog.close()
    if as_json:
        click.echo(json_line({"removed": gone, "failures": _reasons(errors)}))
    else:
        click.echo(f"removed {len(gone)}")
    _say_failures(errors)
    raise SystemExit(1 if errors else 0)


@ingest.command(epilog="Example: cloister ingest status --json")
@_json
@click.pass_obj
def status(settings: Settings, as_json: bool) -> None:
    """List the documents with their states."""
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
        note = f"  {document.error}" if document.error else ""
        click.echo(printable(f"{document.id}  {document.state:9}  {document.source}{note}"))
    click.echo(", ".join(f"{n} {state}" for state, n in sorted(states.items())) or "empty library")


def _make(catalog: Any, collection: str, create: bool) -> None:
    from rag.catalog.collections import collection_ids, create_collection

    if create:
        create_collection(catalog, collection)
    with catalog.read() as connection:
        collection_ids(connection, [collection])


def _progress(as_json: bool) -> Any:
    from ingest.progress import Progress

    return Progress(quiet=as_json)


def _finish(settings: Settings, catalog: Any, what: str, progress: Any, wait: bool) -> None:
    from ingest.following import finish

    finish(settings, catalog, what, progress.left, wait)


def _reasons(pairs: list[tuple[str, str]]) -> list[Mapping[str, str]]:
    return [{"source": source, "reason": reason} for source, reason in pairs]


def _say_sync(summary: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json_line(summary))
        return
    names = ("new", "changed", "renamed", "unchanged", "removed", "skipped", "failed")
    click.echo(", ".join(f"{summary[name]} {name}" for name in names), nl=False)
    click.echo(f" in {summary['seconds']:.1f} s")
    for skip in summary["skips"]:
        click.echo(printable(f"  skipped {skip['source']}: {skip['reason']}"), err=True)
    _say_failures([(f["source"], f["reason"]) for f in summary["failures"]])


def _say_failures(pairs: list[tuple[str, str]]) -> None:
    for source, reason in pairs:
        click.secho(printable(f"  failed {source}: {reason}"), fg="red", err=True)
