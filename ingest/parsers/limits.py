"""What a parser's process may not do: use much memory or time, write, connect, start programs."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

_NEW_USER = 0x10000000
_NEW_NETWORK = 0x40000000
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PREFIXES = ("socket.", "subprocess.", "pty.", "shutil.", "ftplib.", "http.", "urllib.")
_EVENTS = frozenset(
    str.split(
        "os.system os.exec os.fork os.forkpty os.posix_spawn os.spawn os.startfile os.remove "
        "os.rename os.rmdir os.mkdir os.link os.symlink os.truncate os.chmod os.chown os.kill"
    )
)


class Forbidden(RuntimeError):
    """A parser did what no parser may."""


def confine(memory_bytes: int) -> bool:
    """Limit this process for good; false where the system leaves it the network.

    Call it while it has one thread, before the first document.
    """
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    alone = leave_network()
    sys.dont_write_bytecode = True
    sys.addaudithook(_watch)
    return alone


def set_alarm(seconds: float) -> None:
    """End this process after `seconds`, whatever it is doing and whoever is left to stop it."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def leave_network() -> bool:
    """Move into a network namespace of its own with nothing in it; whether the system lets us."""
    unshare = getattr(ctypes.CDLL(None), "unshare", None) if sys.platform == "linux" else None
    return unshare is not None and unshare(_NEW_USER | _NEW_NETWORK) == 0


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open":
        flags = arguments[2]
        if isinstance(flags, int) and flags & _WRITING:
            raise Forbidden("write a file")
    elif event in _EVENTS or event.startswith(_PREFIXES):
        raise Forbidden(f"do {event}")
