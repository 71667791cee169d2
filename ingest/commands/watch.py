"""`cloister ingest watch`."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click

from ingest.commands.shared import (
    collection_option,
    create_option,
    exclude_option,
    include_option,
    need_collection,
    progress_for,
    say_sync,
)
from ingest.commands.sync import folder_to_sync, root_of, sync_folder
from rag.errors import Busy
from rag.printing import printable
from rag.settings import Settings

_CHANGES = ("new", "changed", "renamed", "removed")
_WHAT = "cloister ingest watch"
_BUSY_SECONDS = 5.0


@click.command(epilog="Example: cloister ingest watch ~/documents")
@click.argument("folder", type=click.Path(path_type=Path))
@collection_option
@create_option
@include_option
@exclude_option
@click.option(
    "--every",
    type=click.FloatRange(min=1),
    default=60.0,
    show_default=True,
    help="Look at the whole folder at least so often, in seconds; on a network file system, which "
    "tells of no changes, it is looked at this often only.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON line for each sync, not text.")
@click.pass_obj
def watch(
    settings: Settings,
    folder: Path,
    collection: str,
    create_collection: bool,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    every: float,
    as_json: bool,
) -> None:
    """Keep the library in step with FOLDER until stopped: a sync at each change.

    Prints a line for each sync that changed something. The rules are those of `cloister ingest
    sync`: where most files are gone at once nothing is removed, and that is said. Exits 0 when
    told to stop (SIGTERM), 75 when the folder is being watched already.
    """
    from ingest.sync import chosen_by
    from ingest.watching import changes, notifies
    from rag.library import open_catalog
    from rag.lock import take_watch_lock

    root = root_of(folder)
    chosen = chosen_by(settings, include, exclude)
    catalog = open_catalog(settings)
    need_collection(catalog, collection, create_collection)
    notified = notifies(root)
    with (
        _stopped_by(signal.SIGTERM) as stop,
        progress_for(as_json) as progress,
        take_watch_lock(settings, folder_to_sync(settings, catalog, root, collection)),
    ):
        follower = _Follower(
            lambda: sync_folder(
                settings, catalog, root, collection, progress, chosen=chosen, what=_WHAT
            ),
            as_json,
        )
        follower.first()
        how = "at each change" if notified else f"every {every:g} s (it is a network file system)"
        click.echo(printable(f"watching {root}, {how}"), err=True)
        while not stop.is_set():
            try:
                for _ in changes(root, stop, every, notified, settings.home, chosen.hidden):
                    follower.again(stop)
            except OSError as error:
                notified = False
                click.echo(
                    printable(f"no notification ({error}): looking every {every:g} s"), err=True
                )
    catalog.close()


class _Follower:
    """Syncs again and again, and says what is new."""

    def __init__(self, sync: Callable[[], dict[str, Any]], as_json: bool) -> None:
        self._sync = sync
        self._as_json = as_json
        self._failures: Any = []
        self._trouble = ""

    def first(self) -> None:
        """The first sync. What is wrong with it ends the command."""
        self._say(self._sync())

    def again(self, stop: threading.Event) -> None:
        """One more sync; where it cannot be done now, the reason is said once."""
        from rag.errors import CloisterError

        while not stop.is_set():
            try:
                self._say(self._sync())
                self._trouble = ""
                return
            except CloisterError as error:
                if str(error) != self._trouble:
                    self._trouble = str(error)
                    click.echo(printable(f"not synced: {error}"), err=True)
                if not isinstance(error, Busy):
                    return
                stop.wait(_BUSY_SECONDS)

    def _say(self, summary: dict[str, Any]) -> None:
        if any(summary[name] for name in _CHANGES) or summary["failures"] != self._failures:
            self._failures = summary["failures"]
            told = {name: value for name, value in summary.items() if name != "busy"}
            say_sync(told | {"skips": []}, self._as_json)
        if "busy" in summary:
            raise Busy(summary["busy"])


@contextmanager
def _stopped_by(number: signal.Signals) -> Iterator[threading.Event]:
    """An event that the signal sets, for as long as this lasts."""
    stop = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = signal.signal(number, handle)
    try:
        yield stop
    finally:
        signal.signal(number, before)
