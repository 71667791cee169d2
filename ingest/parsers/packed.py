"""Files within a file, on their way from the parser's process to Cloister's.

An unpacker yields them in the order in which they stand there. Nothing is written on this side;
the names are the file's own, and nobody opens a path that is made of them.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ingest.patterns import HIDDEN
from rag.errors import DocumentError, TooMuchInside

_BLOCK = 1 << 18


@dataclass(frozen=True, slots=True)
class UnpackLimits:
    """How many members may come out of a file, of how many bytes in all, and the largest one."""

    members: int
    size: int
    largest: int


@dataclass(frozen=True, slots=True)
class Packed:
    """A file within a file: `open` gives its bytes; or there is an error and nothing to open."""

    name: str
    open: Callable[[], BinaryIO] | None = None
    error: DocumentError | None = None

    def blocks(self) -> Iterator[bytes]:
        """Its bytes. Raises what reading them raises."""
        if self.open:
            with self.open() as stream:
                while block := stream.read(_BLOCK):
                    yield block


def held(name: str, data: bytes) -> Packed:
    """A file whose bytes are in memory."""
    return Packed(name, lambda: io.BytesIO(data))


def check_count(name: str, count: int, limits: UnpackLimits) -> None:
    """Raises TooMuchInside where there are more members than allowed."""
    if count > limits.members:
        raise TooMuchInside(
            f"“{name}” holds more than {limits.members:,} files, as many as ingest.members leaves "
            "for it. Split it, or ask the operator to raise the limit."
        )


def check_size(name: str, size: int, limits: UnpackLimits) -> None:
    """Raises TooMuchInside where the members have more bytes than allowed."""
    if size > limits.size:
        raise TooMuchInside(
            f"“{name}” unpacks to more than {limits.size:,} bytes, as many as ingest.members_bytes "
            "leaves for it. Split it, or ask the operator to raise the limit."
        )


def too_large(name: str, limits: UnpackLimits) -> TooMuchInside:
    """The error for one member over the limit of a file."""
    return TooMuchInside(
        f"“{name}” is larger than {limits.largest:,} bytes, the limit set by ingest.max_bytes. "
        "Split it, or ask the operator to raise the limit."
    )


def is_hidden(name: str) -> bool:
    """Whether a path is of a hidden file, or of what macOS and Windows keep beside files."""
    parts = name.replace("\\", "/").split("/")
    return any(
        (part.startswith(HIDDEN) and part not in (".", "..")) or part in ("__MACOSX", "Thumbs.db")
        for part in parts
    )
