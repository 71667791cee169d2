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
# in a member's flags (PKWARE's APPNOTE, 4.4.4, bit 11); else its name should be in CP437
_SAYS_UTF8 = 0x800


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
            member = _name(info)
            if refusal := _refused(info, member, limits):
                yield Packed(member, error=refusal)
            else:
                yield Packed(member, lambda info=info: _open(archive, info))  # type: ignore[misc]


def _name(info: zipfile.ZipInfo) -> str:
    """A member's name. Many programs write UTF-8 and do not say so; it is seldom anything else."""
    if info.flag_bits & _SAYS_UTF8:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except ValueError:
        return info.filename


def _refused(info: zipfile.ZipInfo, name: str, limits: UnpackLimits) -> DocumentError | None:
    if info.create_system == _UNIX and _is_special(info.external_attr >> 16):
        return UnsupportedFormat(f"“{name}” is a link or a device, no file.")
    if is_encrypted(info):
        return ProtectedDocument(f"“{name}” is locked with a password. Pack it again without one.")
    if info.compress_type not in _METHODS:
        return UnsupportedFormat(
            f"“{name}” is packed by a method (number {info.compress_type}) that is not "
            "read. Pack it again as an ordinary ZIP file."
        )
    if info.file_size > limits.largest:
        return too_large(name, limits)
    return None


def _is_special(mode: int) -> bool:
    return bool(stat.S_IFMT(mode)) and not stat.S_ISREG(mode)


def _open(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
    opened: IO[bytes] = archive.open(info)
    return cast(BinaryIO, opened)
