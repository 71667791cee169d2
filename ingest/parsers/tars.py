"""TAR archives, packed by gzip, bzip2 or xz or not at all: the files in them."""

from __future__ import annotations

import lzma
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from ingest.parsers.archive import check_expansion, damaged
from ingest.parsers.packed import (
    Packed,
    UnpackLimits,
    check_count,
    check_size,
    is_hidden,
    too_large,
)
from rag.errors import DocumentError, UnsupportedFormat

_DAMAGE = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError, ValueError)


def unpack(path: Path, name: str, limits: UnpackLimits) -> Iterator[Packed]:
    """The files of a TAR archive, read from its beginning to its end, once.

    Hidden ones are left out, as in a folder; links and devices are told. Raises CorruptDocument
    for a damaged one and one that expands too much, TooMuchInside for more files or bytes than
    allowed.
    """
    packed, count, size = path.stat().st_size, 0, 0
    try:
        with tarfile.open(path, "r:*", errorlevel=2, encoding="utf-8") as archive:
            while info := archive.next():
                # what was read is not needed again
                archive.members = []  # type: ignore[attr-defined]
                shown = _readable(info.name)
                if info.isdir() or is_hidden(shown):
                    continue
                count += 1
                size += info.size
                check_count(name, count, limits)
                check_size(name, size, limits)
                check_expansion(name, size, packed, largest=limits.size)
                if refusal := _refused(info, shown, limits):
                    yield Packed(shown, error=refusal)
                else:
                    yield Packed(shown, lambda info=info: _open(archive, info))  # type: ignore[misc]
    except _DAMAGE as error:
        raise damaged(name, type(error).__name__) from error


def _refused(info: tarfile.TarInfo, shown: str, limits: UnpackLimits) -> DocumentError | None:
    if not info.isreg():
        return UnsupportedFormat(f"“{shown}” is a link or a device, no file.")
    if info.size > limits.largest:
        return too_large(shown, limits)
    return None


def _open(archive: tarfile.TarFile, info: tarfile.TarInfo) -> BinaryIO:
    return cast(BinaryIO, archive.extractfile(info))


def _readable(name: str) -> str:
    """A name whose bytes are no UTF-8 has U+FFFD for them."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
