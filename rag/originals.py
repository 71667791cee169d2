"""The bytes of every document, stored once under their SHA-256."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from rag.catalog import Catalog
from rag.catalog.stored import forget_stored, note_stored, unneeded_hashes
from rag.errors import CorruptDocument, StorageError, TooLarge, storage_error
from rag.files import flush
from rag.lock import take_registration, try_no_registration
from rag.settings import Settings

_BLOCK = 1 << 20
_INCOMING = "incoming"
_FOLDER = re.compile("[0-9a-f]{2}")
_NAME = re.compile("[0-9a-f]{64}")
# the system commits what several threads wait for in one go
_FLUSHERS = 16


def original_path(settings: Settings, bytes_hash: str) -> Path:
    """Where the bytes of this SHA-256 are kept."""
    return settings.home / "originals" / bytes_hash[:2] / bytes_hash


class Incoming:
    """Originals on their way into the store, made durable together by `settle`."""

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self._settings = settings
        self._catalog = catalog
        self._folder = settings.home / "originals" / _INCOMING
        self._waiting: dict[str, Path] = {}

    def take(self, stream: BinaryIO, name: str) -> tuple[str, int, bytes]:
        """Copy a stream; returns SHA-256, size and the first 4 KiB.

        Raises TooLarge over `ingest.max_bytes`, CorruptDocument where it cannot be read,
        StorageError when the disk has not room enough. Nothing of it is left when it raises.
        """
        temporary: Path | None = None
        try:
            if not self._folder.is_dir():
                self._folder.mkdir(parents=True, exist_ok=True)
                flush(self._settings.home)
            check_free_space(self._settings)
            descriptor, path = tempfile.mkstemp(dir=self._folder)
            temporary = Path(path)
            with os.fdopen(descriptor, "wb") as target:
                bytes_hash, size, head = _copy(stream, target, self._settings, name)
            self.drop(bytes_hash)
            self._waiting[bytes_hash], temporary = temporary, None
            return bytes_hash, size, head
        except OSError as error:
            raise storage_error(error) from error
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)

    def check_size(self, size: int, name: str) -> None:
        """Raises TooLarge for a file that `take` would, before anything of it is copied."""
        if size > self._settings.ingest_max_bytes:
            raise _too_large(self._settings, name)

    def drop(self, bytes_hash: str) -> None:
        """Forget one that was taken: it is not needed."""
        if path := self._waiting.pop(bytes_hash, None):
            path.unlink(missing_ok=True)

    def settle(self) -> None:
        """Put what was taken in its place, durably. Raises StorageError.

        Only after this may a document or a content name it. Contents reach the disk before their
        names. What comes to nothing is swept, since the catalog knows of it.
        """
        waiting = dict(self._waiting)
        note_stored(self._catalog, waiting)
        try:
            _flush_all(waiting.values())
            folders = set()
            for bytes_hash, temporary in waiting.items():
                path = original_path(self._settings, bytes_hash)
                if not path.parent.is_dir():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    folders.add(path.parent.parent)
                temporary.replace(path)
                del self._waiting[bytes_hash]
                folders.add(path.parent)
            _flush_all(folders)
        except OSError as error:
            raise storage_error(error) from error

    def discard(self) -> None:
        """Delete what was taken and not settled."""
        for bytes_hash in list(self._waiting):
            self.drop(bytes_hash)


@contextmanager
def incoming(settings: Settings, catalog: Catalog) -> Iterator[Incoming]:
    """Originals to be taken, settled and registered before the end of this."""
    with take_registration(settings):
        batch = Incoming(settings, catalog)
        try:
            yield batch
        finally:
            batch.discard()


def store_original(
    settings: Settings, catalog: Catalog, stream: BinaryIO, name: str
) -> tuple[str, int, bytes]:
    """Copy a stream into the store, durably; returns SHA-256, size and the first 4 KiB.

    Raises as `Incoming.take`. Unless something refers to it soon it is swept.
    """
    with incoming(settings, catalog) as batch:
        taken = batch.take(stream, name)
        batch.settle()
        return taken


def _copy(
    stream: BinaryIO, target: BinaryIO, settings: Settings, name: str
) -> tuple[str, int, bytes]:
    digest, size, head = hashlib.sha256(), 0, b""
    while block := _read(stream, name):
        if not head:
            head = block[:4096]
        size += len(block)
        if size > settings.ingest_max_bytes:
            raise _too_large(settings, name)
        digest.update(block)
        target.write(block)
    return digest.hexdigest(), size, head


def _too_large(settings: Settings, name: str) -> TooLarge:
    return TooLarge(
        f"“{name}” is larger than {settings.ingest_max_bytes:,} bytes, the limit set by "
        "ingest.max_bytes. Split it, or ask the operator to raise the limit."
    )


def _read(stream: BinaryIO, name: str) -> bytes:
    try:
        return stream.read(_BLOCK)
    except OSError as error:
        raise CorruptDocument(f"“{name}” cannot be read: {error.strerror}.") from error


def check_free_space(settings: Settings) -> None:
    """Raises StorageError when less than `ingest.free_bytes` are free."""
    free = shutil.disk_usage(settings.home).free
    if free < settings.ingest_free_bytes:
        raise StorageError(
            f"Only {free:,} bytes are free on the library's disk and "
            f"{settings.ingest_free_bytes:,} must stay free (ingest.free_bytes). "
            "Nothing was taken in; free some space and retry."
        )


def sweep_originals(settings: Settings, catalog: Catalog, in_hand: Callable[[], set[str]]) -> bool:
    """Delete originals that the catalog had stored and nothing needs, and half-received ones.

    `in_hand` gives those that no row may name yet. False, and nothing is deleted, while a process
    registers originals. Raises StorageError where one cannot be deleted; all others are by then.
    """
    with try_no_registration(settings) as quiet:
        if not quiet:
            return False
        held = in_hand()  # asked first: what leaves it is in the catalog by then
        halves = (settings.home / "originals" / _INCOMING).glob("*")
        unneeded = {original_path(settings, name): name for name in unneeded_hashes(catalog) - held}
        gone, failed = [], None
        for path in [*halves, *unneeded]:
            try:
                if path.is_symlink() or path.is_file():
                    path.unlink(missing_ok=True)
                gone.append(path)
            except OSError as error:
                failed = error
        forget_stored(catalog, [unneeded[path] for path in gone if path in unneeded])
        if failed:
            raise storage_error(failed) from failed
        return True


def unwanted_originals(
    settings: Settings, wanted: set[str], stored: set[str]
) -> tuple[list[Path], list[Path]]:
    """Originals that nothing needs: those `stored` and half-received ones, and unknown ones."""
    known: list[Path] = []
    unknown: list[Path] = []
    for path, ours in _lying(settings, wanted):
        if ours and path.parent.name == _INCOMING:
            known.append(path)
        elif ours and path.name not in wanted:
            (known if path.name in stored else unknown).append(path)
    return known, unknown


def strays(settings: Settings, wanted: set[str]) -> list[Path]:
    """Files, folders and links among the originals that Cloister did not put there.

    What is in such a folder is not told apart.
    """
    return [path for path, ours in _lying(settings, wanted) if not ours]


def _lying(settings: Settings, wanted: set[str]) -> Iterator[tuple[Path, bool]]:
    """What lies among the originals, and whether it is one of them, or one on its way."""
    used = {_INCOMING, *(bytes_hash[:2] for bytes_hash in wanted)}
    for folder in (settings.home / "originals").glob("*"):
        known = folder.name == _INCOMING or _FOLDER.fullmatch(folder.name)
        if folder.is_symlink():
            # not followed, nor taken away from what is read through it
            if folder.name not in used:
                yield folder, False
        elif not known or not folder.is_dir():
            yield folder, False
        else:
            for path in folder.glob("*"):
                named = folder.name == _INCOMING or _NAME.fullmatch(path.name)
                yield path, bool(named) and (path.is_symlink() or path.is_file())


def _flush_all(paths: Iterable[Path]) -> None:
    paths = list(paths)
    if len(paths) < 2:
        list(map(flush, paths))
        return
    with ThreadPoolExecutor(_FLUSHERS) as pool:
        list(pool.map(flush, paths))
