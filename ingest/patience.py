"""For a command that waits for the running server: says what keeps that from getting on."""

from __future__ import annotations

import time

import click

from rag.errors import CloisterError
from rag.printing import printable
from rag.session import open_server
from rag.settings import Settings

POLL_SECONDS = 0.3
# a server that does not get on for so long is asked why, again and again
LOOK_SECONDS = 3.0
# what passes by itself is tried again more often
PATIENCE_SECONDS = 60.0
_PARTS = ("embedder", "indexes", "ingest")


class Patience:
    """One wait for the server. Where it does not get on, its reason is printed, once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._progress: object = None
        self._since = self._looked = time.monotonic()
        self._said = False

    def wait(self, progress: object) -> None:
        """Sleep for a moment; `progress` is what changes as the server gets on.

        Raises CloisterError with the server's reason where that has kept it for a minute.
        """
        time.sleep(POLL_SECONDS)
        now = time.monotonic()
        if progress != self._progress:
            self._progress, self._since, self._looked = progress, now, now
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        reason = _trouble(self._settings)
        if reason and now - self._since >= PATIENCE_SECONDS:
            raise CloisterError(f"The server does not get on, and tries again later: {reason}")
        if reason and not self._said:
            self._said = True
            click.echo(printable(f"waiting for the server: {reason}"), err=True)


def _trouble(settings: Settings) -> str:
    """What the server says keeps it from reading; empty where nothing does, or nobody answers."""
    try:
        server = open_server(settings)
        parts = server.readiness() if server else {}
    except CloisterError:
        return ""
    states = (parts.get(name, "ready") for name in _PARTS)
    return next((state for state in states if state not in ("ready", "loading")), "")
