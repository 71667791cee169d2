"""`cloister ingest restore`."""

from __future__ import annotations

import click

from ingest.commands.shared import json_option, reasons, say_failures
from rag.printing import json_line, printable
from rag.settings import Settings


@click.command(epilog="Example: cloister ingest restore doc_0123456789abcdef")
@click.argument("documents", nargs=-1)
@json_option
@click.pass_obj
def restore(settings: Settings, documents: tuple[str, ...], as_json: bool) -> None:
    """Have the next sync take DOCUMENTS in again that were removed from a synced folder.

    Without DOCUMENTS it lists those that were removed and whose files are still there.
    """
    from rag.catalog.removals import removed_documents
    from rag.catalog.removals import restore as restore_document
    from rag.errors import NotFound
    from rag.library import open_catalog

    catalog = open_catalog(settings)
    done: list[str] = []
    errors: list[tuple[str, str]] = []
    for name in documents:
        try:
            restore_document(catalog, name)
            done.append(name)
        except NotFound as error:
            errors.append((name, str(error)))
    removed = removed_documents(catalog)
    catalog.close()
    if as_json:
        left = [{"id": name, "source": source, "folder": path} for name, source, path in removed]
        click.echo(json_line({"restored": done, "removed": left, "failures": reasons(errors)}))
    elif documents:
        click.echo(f"restored {len(done)}: the next sync of their folder takes them in")
    else:
        for name, source, path in removed:
            click.echo(printable(f"{name}  {source}  in {path}"))
        click.echo(f"{len(removed)} removed")
    say_failures(errors)
    raise SystemExit(1 if errors else 0)
