"""Who may write the library: one process at a time, known to the others.

The lock is the operating system's, on `run/lock`, so it ends with its process however that ends.
Its file holds a token, made anew by each holder. A server also leaves its address in
`run/server.json`, which counts only while the lock is held by the one whose token it repeats.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from rag.errors import Busy
from rag.home import make_home, unusable
from rag.identity import new_token
from rag.settings import Settings

# who only looks who has the library has it for a moment: so often, and so far apart, is it tried
_TRIES = 10
_BETWEEN_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a lock.

    `address` is a server's, as `http://host:port`; `token` is what that server proves itself by.
    """

    pid: int
    what: str
    address: str | None = None
    token: str = field(default="", repr=False)


@contextmanager
def take_library_lock(settings: Settings, what: str) -> Iterator[str]:
    """Be the only writer of the library's indexes; gives the holder's token.

    Raises Busy, telling who is, within a tenth of a second or so.
    """
    with _locked(_run(settings) / "lock", what, "The library") as token:
        try:
            # a server that was killed left its address
            _address_file(settings).unlink(missing_ok=True)
            yield token
        finally:
            _address_file(settings).unlink(missing_ok=True)


@contextmanager
def take_folder_lock(settings: Settings, folder_id: int) -> Iterator[None]:
    """Be the only sync of a folder. Raises Busy, telling who is, at once."""
    with _locked(_run(settings) / f"folder-{folder_id}.lock", "cloister ingest sync", "The folder"):
        yield


@contextmanager
def take_watch_lock(settings: Settings, folder_id: int) -> Iterator[None]:
    """Be the only one that watches a folder. Raises Busy, telling who is, at once."""
    with _locked(_run(settings) / f"watch-{folder_id}.lock", "cloister ingest watch", "The folder"):
        yield


@contextmanager
def take_registration(settings: Settings) -> Iterator[None]:
    """Store originals and register them: until this ends none of them is swept as unwanted."""
    with _open(_run(settings) / "registering.lock") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextmanager
def try_no_registration(settings: Settings) -> Iterator[bool]:
    """True where no process is registering originals, and none begins to until this ends."""
    with _open(_run(settings) / "registering.lock") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def announce(settings: Settings, address: str) -> None:
    """Leave the server's address for the other commands. The lock must be held."""
    path = _address_file(settings)
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=0o600)
    token = _read_json(_run(settings) / "lock").get("token")
    temporary.write_text(json.dumps({"address": address, "token": token}))
    temporary.replace(path)


def find_holder(settings: Settings) -> Holder | None:
    """Who holds the library's lock, or None when nobody does."""
    path = _run(settings) / "lock"
    with _open(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read_holder(path, settings)
        return None


def in_use(
    holder: Holder,
    thing: str = "The library",
    advice: str = "Wait until it ends, or stop it, and try again.",
) -> Busy:
    """The error that tells who has the library, or a folder, and what to do."""
    return Busy(f"{thing} is in use by “{holder.what}” (process {holder.pid}). {advice}")


@contextmanager
def _locked(path: Path, what: str, thing: str) -> Iterator[str]:
    with _open(path) as file:
        if not _is_had(file):
            raise in_use(_read_holder(path), thing)
        file.seek(0)
        file.truncate()
        token = new_token()
        file.write(json.dumps({"pid": os.getpid(), "what": what, "token": token}))
        file.flush()
        yield token


def _is_had(file: IO[str]) -> bool:
    for left in reversed(range(_TRIES)):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if left:
                time.sleep(_BETWEEN_SECONDS)
        else:
            return True
    return False


def _open(path: Path) -> IO[str]:
    make_home(path.parent.parent)
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unusable(error.strerror) from error
    return os.fdopen(descriptor, "r+")


def _read_holder(path: Path, settings: Settings | None = None) -> Holder:
    fields = _read_json(path)
    left = _read_json(_address_file(settings)) if settings else {}
    token = str(fields.get("token") or "")
    own = token != "" and left.get("token") == token and bool(left.get("address"))
    return Holder(
        pid=int(str(fields.get("pid", 0))),
        what=str(fields.get("what", "another process")),
        address=str(left["address"]) if own else None,
        token=token if own else "",
    )


def _read_json(path: Path) -> dict[str, object]:  # half-written is as good as not there
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _run(settings: Settings) -> Path:
    return settings.home / "run"


def _address_file(settings: Settings) -> Path:
    return _run(settings) / "server.json"
