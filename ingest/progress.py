"""Progress on standard error: a bar on a terminal, a plain line now and then in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

LINE_SECONDS = 10.0


class Progress:
    """Says how many steps of a work are done: of how many, or down from the most left."""

    def __init__(
        self, quiet: bool = False, label: str = "Reading documents", unit: str = "documents"
    ) -> None:
        self._quiet = quiet
        self._label, self._unit = label, unit
        self._most = 0
        self._said = time.monotonic()
        self._bar: Bar | None = None
        if not quiet and sys.stderr.isatty():
            self._bar = _make_bar()
            self._task = self._bar.add_task(label, total=None)

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

    def begin(self, label: str, unit: str) -> None:
        """Count another work from now on."""
        self._label, self._unit, self._most = label, unit, 0
        if self._bar:
            self._bar.reset(self._task, total=None, description=label)

    def left(self, count: int) -> None:
        """So many are still to be done."""
        self._most = max(self._most, count)
        self.at(self._most - count, self._most)

    def at(self, done: int, total: int) -> None:
        """So many are done."""
        if self._bar:
            self._bar.update(self._task, total=total or None, completed=done)
        elif not self._quiet and time.monotonic() - self._said >= LINE_SECONDS:
            self._said = time.monotonic()
            click.echo(f"{self._label}: {done} of {total} {self._unit}", err=True)


def _make_bar() -> Bar:
    """A bar with the count, the rate and the time that is left."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar
    from rich.text import Text

    class Rate(ProgressColumn):
        """How many a second."""

        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f}/s" if task.speed else "")

    return Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
