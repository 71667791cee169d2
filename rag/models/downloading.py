"""One file of a model from a hub: goes on where it was broken off, and is what the hub says.

While it comes it is called `NAME.incomplete`, and stays so however the process ends.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from rag.errors import ModelError, StorageError
from rag.models.hub import Hub, HubFile, HubModel

INCOMPLETE = ".incomplete"
_BLOCK = 1 << 20
# after so many attempts that brought nothing it is given up
_ATTEMPTS = 6
_LONGEST_PAUSE = 30.0
_TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)

Advance = Callable[[int], None]


class _Sums:
    """What is there of a file, as its SHA-256 and the SHA-1 by which git names it."""

    def __init__(self, file: HubFile, part: Path | None = None) -> None:
        self._file = file
        self.clear()
        if part is not None and part.exists():
            with part.open("rb") as stream:
                while block := stream.read(_BLOCK):
                    self.add(block)

    def clear(self) -> None:
        """As of no bytes at all."""
        self.size = 0
        self._sha256 = hashlib.sha256()
        self._git = hashlib.sha1(b"blob %d\0" % self._file.size, usedforsecurity=False)

    def add(self, block: bytes) -> None:
        """The bytes that come next."""
        self._sha256.update(block)
        self._git.update(block)
        self.size += len(block)

    @property
    def sha256(self) -> str:
        """In hex."""
        return self._sha256.hexdigest()

    @property
    def fit(self) -> bool:
        """Whether they are the ones that the hub told."""
        if self.size != self._file.size:
            return False
        if self._file.sha256:
            return self.sha256 == self._file.sha256
        return not self._file.blob or self._git.hexdigest() == self._file.blob


def download(
    hub: Hub,
    model: HubModel,
    file: HubFile,
    target: Path,
    advance: Advance,
    pause: Callable[[float], None] = time.sleep,
) -> str:
    """Bring a file to `target`, or find that it is there; its SHA-256.

    `advance` hears of each further byte (a negative number where some are fetched again). Raises
    ModelError where the hub gives it up or sends something else, StorageError for a full disk.
    """
    if target.is_file():
        sums = _Sums(file, target)
        if sums.fit:
            advance(file.size)
            return sums.sha256
        target.unlink()
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + INCOMPLETE)
    resumed = part.exists()
    sums = _fetch(hub, model, file, part, advance, pause)
    if not sums.fit and resumed:  # what was there may have been another file's
        advance(-sums.size)
        part.unlink()
        sums = _fetch(hub, model, file, part, advance, pause)
    if not sums.fit:
        advance(-sums.size)
        part.unlink()
        raise ModelError(
            f"{file.name} of {model.id} is not the file that {hub.address} says it is: its "
            "checksum differs. That file was not kept. Try again; if it stays, ask whoever runs "
            "the hub or the mirror."
        )
    part.replace(target)
    return sums.sha256


def _fetch(
    hub: Hub,
    model: HubModel,
    file: HubFile,
    part: Path,
    advance: Advance,
    pause: Callable[[float], None],
) -> _Sums:
    """Append to `part` until it is as long as the file, through broken connections."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    sums = _Sums(file, part)
    advance(sums.size)
    part.touch()
    failures = 0
    while sums.size < file.size:
        before = sums.size
        try:
            _append(hub, model, file, part, sums, advance)
            reason: object = "it sent less than the whole file"
        except HfHubHTTPError as error:
            if error.response.status_code not in _TRY_AGAIN:
                raise hub.explain(error, model.id, model.commit) from error
            reason = error
        except httpx2.HTTPError as error:
            reason = error
        if sums.size >= file.size:
            break
        failures = 0 if sums.size > before else failures + 1
        if failures >= _ATTEMPTS:
            raise hub.unreachable(reason)
        pause(min(_LONGEST_PAUSE, 2.0**failures))
    return sums


def _append(
    hub: Hub, model: HubModel, file: HubFile, part: Path, sums: _Sums, advance: Advance
) -> None:
    """One request: what it brings goes to the end of `part`, or replaces all of it."""
    with hub.stream(model, file.name, sums.size) as response:
        if sums.size and response.status_code != 206:  # it sends all of it
            advance(-sums.size)
            sums.clear()
        try:
            with part.open("ab" if sums.size else "wb") as out:
                for block in response.iter_bytes():
                    out.write(block)
                    sums.add(block)
                    advance(len(block))
                    if sums.size > file.size:
                        break  # not the file that was asked for
                out.flush()
                os.fsync(out.fileno())
        except OSError as error:
            raise full(error) from error


def full(error: OSError) -> StorageError:
    """The error of a models folder that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(
            "The disk of the models folder is full. Make room and give the same command again: "
            "what was fetched is kept. Or set CLOISTER_MODELS to another folder."
        )
    return StorageError(
        f"The models folder cannot be written: {error.strerror}. Check its owner, or set "
        "CLOISTER_MODELS to another folder."
    )
