"""Files on the disk: what is in them, and whether it outlasts a power cut."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def hash_of(path: Path) -> str:
    """The SHA-256 of a file in hex, read in pieces. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush(path: Path) -> None:
    """Make a file's bytes, or a folder's names, durable. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
