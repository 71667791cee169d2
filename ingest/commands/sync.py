"""`cloister ingest sync`, and the one sync that `watch` repeats."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ingest.commands.shared import (
    collection_option,
    create_option,
    exclude_option,
    finish_queue,
    include_option,
    json_option,
    need_collection,
    progress_for,
    reasons,
    say_sync,
)
from rag.errors import Busy, CloisterError, NotFound, StorageError, UsageError
from rag.settings import Settings

if TYPE_CHECKING:
    from ingest.patterns import Selection


@click.command(epilog="Example: cloister ingest sync ~/documents --wait --json")
@click.argument("folder", type=click.Path(path_type=Path))
@collection_option
@create_option
@include_option
@exclude_option
@click.option("--wait", is_flag=True, help="Return when everything is searchable.")
@click.option("--retry", is_flag=True, help="Try files again that could not be read before.")
@click.option(
    "--confirm-deletions", is_flag=True, help="Remove even if most files, or the folder, are gone."
)
@json_option
@click.pass_obj
def sync(
    settings: Settings,
    folder: Path,
    collection: str,
    create_collection: bool,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    wait: bool,
    retry: bool,
    confirm_deletions: bool,
    as_json: bool,
) -> None:
    """Bring the library in step with FOLDER: new, changed, moved and vanished files.

    Made for cron: a second run over an unchanged folder changes nothing. After an upgrade, or with
    another embedder, chunk size or ingest.ocr, all documents are read again, so each run is given
    the same settings; and the same patterns, for what they leave out is as good as vanished. Exits
    0 when all is well, 1 when a file could not be read, 75 when another process is at work.
    """
    from ingest.sync import chosen_by
    from rag.library import open_catalog

    root = root_of(folder)
    chosen = chosen_by(settings, include, exclude)
    catalog = open_catalog(settings)
    need_collection(catalog, collection, create_collection)
    with progress_for(as_json) as progress:
        summary = sync_folder(
            settings,
            catalog,
            root,
            collection,
            progress,
            wait=wait,
            retry=retry,
            confirmed=confirm_deletions,
            chosen=chosen,
        )
    catalog.close()
    say_sync(summary, as_json)
    if "busy" in summary:
        raise SystemExit(Busy.exit_code)
    raise SystemExit(1 if summary["failures"] else 0)


def root_of(folder: Path) -> Path:
    """The folder that is meant, all links resolved.

    Raises NotFound for links in a circle, UsageError where the catalog could not note the path.
    """
    try:
        root = folder.expanduser().resolve()
    except (OSError, RuntimeError) as error:
        raise NotFound(f"{folder} is not a folder: {error}. Nothing was changed.") from error
    try:
        str(root).encode()
    except UnicodeEncodeError as error:
        shown = str(root).encode("utf-8", "replace").decode()
        raise UsageError(
            f"The path {shown} is not valid UTF-8. Nothing was changed; rename the folder, or the "
            "one above it whose name is not."
        ) from error
    return root


def folder_to_sync(settings: Settings, catalog: Any, root: Path, collection: str) -> int:
    """The id of a folder, noted if new and fit to be synced: a mistyped one leaves no trace.

    Raises UnknownCollection, and for a new folder what `ingest.discover.why_not` gives and raises.
    """
    from ingest.discover import why_not
    from rag.catalog.folders import find_folder, folder_key

    key = find_folder(catalog, str(root), collection)
    if key is not None:
        return key
    if refusal := why_not(root, settings.home):
        raise refusal
    return folder_key(catalog, str(root), collection)


def sync_folder(
    settings: Settings,
    catalog: Any,
    root: Path,
    collection: str,
    progress: Any,
    wait: bool = False,
    retry: bool = False,
    confirmed: bool = False,
    chosen: Selection | None = None,
    what: str = "cloister ingest sync",
) -> dict[str, Any]:
    """Sync a folder once; returns the summary that `--json` prints.

    Raises as `ingest.sync.register` and `ingest.following.finish` do; but where another command
    has the library, the summary says so under `busy`, and how many documents are `pending`. Where
    all documents are read again, `read_again` is true.
    """
    from ingest.erasing import is_due
    from ingest.recipe import differs
    from ingest.sync import register
    from rag.catalog.failures import folder_failures
    from rag.catalog.folders import retry_files, unfinished
    from rag.lock import take_folder_lock

    started = time.monotonic()
    key = folder_to_sync(settings, catalog, root, collection)
    besides: dict[str, Any] = {}
    with take_folder_lock(settings, key):
        progress.begin("Comparing files", "files")
        try:
            report = register(
                settings, catalog, root, key, collection, confirmed, chosen, progress.at
            )
        except StorageError:
            # what vanished leaves the disk, so that the next run may have room
            with suppress(CloisterError):
                finish_queue(settings, catalog, what, progress, wait=False, folder=key)
            raise
        progress.begin("Reading documents", "documents")
        if retry:
            retry_files(catalog, key)
        progress.left(unfinished(catalog, key))
        if differs(settings, catalog):
            besides["read_again"] = True
        due = is_due(settings, catalog) or besides
        if unfinished(catalog, key) or report.removed or due:
            try:
                finish_queue(settings, catalog, what, progress, wait, key)
            except Busy as error:
                besides |= {"pending": unfinished(catalog, key), "busy": str(error)}
    failures = report.failures + folder_failures(catalog, key)
    return {**_summary(report, failures, time.monotonic() - started), **besides}


def _summary(report: Any, failures: list[tuple[str, str]], seconds: float) -> dict[str, Any]:
    """What a sync did, as `--json` prints it."""
    return {
        "new": report.new,
        "changed": report.changed,
        "renamed": report.renamed,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "skipped": len(report.skips),
        "failed": len(failures),
        "seconds": round(seconds, 3),
        "failures": reasons(failures),
        "skips": reasons(report.skips),
    }
