"""The bytes of every document, stored once under their SHA-256."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import BinaryIO

from rag.errors import CorruptDocument, StorageError, TooLarge
from rag.settings import Settings

_BLOCK = 1 << 20


def original_path(settings: Settings, bytes_hash: str) -> Path:
    """Where the bytes of this SHA-256 are kept."""
    return settings.home / "originals" / bytes_hash[:2] / bytes_hash


def store_original(settings: Settings, stream: BinaryIO, name: str) -> tuple[str, int, bytes]:
    """Copy a stream into the store, durably; returns SHA-256, size and the first 4 KiB.

    Raises TooLarge over `ingest.max_bytes`, StorageError when the disk has not room enough.
    Nothing is left behind when it raises.
    """
    folder = settings.home / "originals" / "incoming"
    temporary: str | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_free_space(settings)
        descriptor, temporary = tempfile.mkstemp(dir=folder)
        with os.fdopen(descriptor, "wb") as target:
            bytes_hash, size, head = _copy(stream, target, settings, name)
            target.flush()
            os.fsync(target.fileno())
        path = original_path(settings, bytes_hash)
        path.parent.mkdir(parents=True, exist_ok=True)
        Path(temporary).replace(path)
        temporary = None
        _sync_folder(path.parent)
        return bytes_hash, size, head
    except OSError as error:
        raise storage_error(error) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _copy(
    stream: BinaryIO, target: BinaryIO, settings: Settings, name: str
) -> tuple[str, int, bytes]:
    digest, size, head = hashlib.sha256(), 0, b""
    while block := _read(stream, name):
        if not head:
            head = block[:4096]
        size += len(block)
        if size > settings.ingest_max_bytes:
            raise TooLarge(
                f"“{name}” is larger than {settings.ingest_max_bytes:,} bytes, the limit set by "
                "ingest.max_bytes. Split it, or ask the operator to raise the limit."
            )
        digest.update(block)
        target.write(block)
    return digest.hexdigest(), size, head


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


def storage_error(error: OSError) -> StorageError:
    """What an operating system's error on the library's own files means for the user."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError("The disk is full: nothing was changed. Free some space and try again.")
    return StorageError(f"The library's files cannot be written: {error.strerror}.")


def sweep_originals(settings: Settings, wanted: set[str], younger_than: float) -> int:
    """Delete originals that nothing needs and that are older than a moment; returns how many.

    The moment (seconds since the epoch) spares what is being registered right now.
    """
    swept = 0
    for path in (settings.home / "originals").glob("*/*"):
        if path.name in wanted or path.stat().st_mtime > younger_than:
            continue
        path.unlink(missing_ok=True)
        swept += 1
    return swept


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
