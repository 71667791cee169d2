"""ZIP archives: the files in them."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, cast

from ingest.parsers.archive import check_directory, check_expansion, damaged, is_encrypted
from ingest.parsers.packed import (
    Packed,
    UnpackLimits,
    check_count,
    check_size,
    is_hidden,
    too_large,
)
from rag.errors import DocumentError, ProtectedDocument, UnsupportedFormat

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_UNIX = 3


def unpack(path: Path, name: str, limits: UnpackLimits) -> Iterator[Packed]:
    """The files of a ZIP archive. What is hidden is left out, as in a folder.

    Raises CorruptDocument for a damaged one and one that expands too much, TooMuchInside for more
    files or bytes than allowed; a single file that cannot be read has an error of its own.
    """
    check_directory(path, name)
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise damaged(name, type(error).__name__) from error
    with archive:
        infos = [i for i in archive.infolist() if not i.is_dir() and not is_hidden(i.filename)]
        check_count(name, len(infos), limits)
        size = sum(info.file_size for info in infos)
        check_size(name, size, limits)
        packed = sum(info.compress_size for info in infos)
        if packed > path.stat().st_size:
            raise damaged(name, "its members overlap")
        check_expansion(name, size, packed, largest=limits.size)
        for info in infos:
            if refusal := _refused(info, limits):
                yield Packed(info.filename, error=refusal)
            else:
                yield Packed(info.filename, lambda info=info: _open(archive, info))  # type: ignore[misc]


def _refused(info: zipfile.ZipInfo, limits: UnpackLimits) -> DocumentError | None:
    if info.create_system == _UNIX and _is_special(info.external_attr >> 16):
        return UnsupportedFormat(f"“{info.filename}” is a link or a device, no file.")
    if is_encrypted(info):
        return ProtectedDocument(
            f"“{info.filename}” is locked with a password. Pack it again without one."
        )
    if info.compress_type not in _METHODS:
        return UnsupportedFormat(
            f"“{info.filename}” is packed by a method (number {info.compress_type}) that is not "
            "read. Pack it again as an ordinary ZIP file."
        )
    if info.file_size > limits.largest:
        return too_large(info.filename, limits)
    return None


def _is_special(mode: int) -> bool:
    return bool(stat.S_IFMT(mode)) and not stat.S_ISREG(mode)


def _open(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
    opened: IO[bytes] = archive.open(info)
    return cast(BinaryIO, opened)
