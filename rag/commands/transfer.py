"""What `models pull` and `models add` say: how far they are, the licence, what is here now."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

import click

from rag.models.consent import Licence
from rag.models.folder import ModelFolder
from rag.printing import json_line, printable

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

LINE_SECONDS = 10.0


class Shown:
    """Says on standard error which step is done and how many bytes are here, of how many."""

    def __init__(self) -> None:
        self._bar: Bar | None = None
        self._total = self._done = self._before = 0
        self._said = self._begun = time.monotonic()

    def __enter__(self) -> Shown:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()
        if self._total and isinstance(error, KeyboardInterrupt):
            self.say(
                f"{self._done / 1e6:,.0f} of {self._total / 1e6:,.0f} MB are kept; the same "
                "command goes on."
            )

    def say(self, line: str) -> None:
        """A step began or ended."""
        if self._done >= self._total:
            self._end()
        click.echo(printable(line), err=True)

    def expect(self, total: int) -> None:
        """So many bytes there are in all."""
        self._total, self._begun = total, time.monotonic()
        if sys.stderr.isatty():
            self._bar = _make_bar()
            self._task = self._bar.add_task("fetch", total=total)
            self._bar.start()

    def advance(self, count: int) -> None:
        """So many bytes more are here."""
        self._done += count
        if self._bar:
            self._bar.update(self._task, completed=self._done)
        elif time.monotonic() - self._said >= LINE_SECONDS or self._done == self._total:
            self._said = time.monotonic()
            rate = self._done / max(1e-3, time.monotonic() - self._begun) / 1e6
            click.echo(
                f"{self._done / 1e6:,.0f} of {self._total / 1e6:,.0f} MB, {rate:,.1f} MB/s",
                err=True,
            )

    def _end(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None


def ask_licence(licence: Licence) -> bool:
    """Show a licence on the terminal and ask whether it is accepted."""
    if licence.text:
        for line in licence.text.splitlines():
            click.echo(printable(line.expandtabs()), err=True)
        click.echo(err=True)
    click.echo(printable(licence.told), err=True)
    return click.confirm("Do you accept it, for yourself and whoever uses it here?", err=True)


def on_terminal() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def report(folder: ModelFolder, as_json: bool) -> None:
    """Say which model is here now."""
    if as_json:
        row = {
            "name": folder.name,
            "folder": folder.path.name,
            "task": folder.task,
            "revision": folder.revision,
            "licence": folder.licence,
        }
        click.echo(json_line({"models": [row]}))
        return
    use = f" Use it: cloister models use {folder.path.name}" if folder.task == "llm" else ""
    click.echo(
        printable(
            f"{folder.name} is here, revision {folder.revision}, licence {folder.licence}.{use}"
        )
    )


def _make_bar() -> Bar:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bar

    return Bar(
        TextColumn("Fetching"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
