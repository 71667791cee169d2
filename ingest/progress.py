"""Progress on standard error: a bar on a terminal, a plain line now and then in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType

import click

LINE_SECONDS = 10.0


class Progress:
    """Counts documents that are left, from the most that there were down to none."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._most = 0
        self._said = time.monotonic()
        self._bar = None
        if not quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                TextColumn,
                TimeRemainingColumn,
            )
            from rich.progress import (
                Progress as RichProgress,
            )

            self._bar = RichProgress(
                TextColumn("Reading documents"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("read", total=None)

    def __enter__(self) -> Progress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()

    def left(self, count: int) -> None:
        """So many documents are still to be read."""
        self._most = max(self._most, count)
        done = self._most - count
        if self._bar:
            self._bar.update(self._task, total=self._most, completed=done)
        elif not self._quiet and time.monotonic() - self._said >= LINE_SECONDS:
            self._said = time.monotonic()
            click.echo(f"read {done} of {self._most} documents", err=True)
