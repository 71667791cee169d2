"""Guards zip-based formats: a small file must not unpack into a huge one."""

from __future__ import annotations

import zipfile
from pathlib import Path

from rag.errors import CorruptDocument, ProtectedDocument

LARGEST = 1 << 30
_RATIO = 200
_RATIO_FROM = 50_000_000
_ENCRYPTED = 1


def check_archive(path: Path, name: str, member: str, *, largest: int = LARGEST) -> None:
    """Look at a zip's directory before anything is unpacked; `member` must be in it.

    Raises CorruptDocument for a damaged zip, one that lacks `member`, or one that would expand
    to more than `largest` bytes (or, from 50 MB, more than 200-fold); ProtectedDocument when
    its members are encrypted.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise damaged(name) from error
    if any(map(is_encrypted, infos)):
        raise ProtectedDocument(f"“{name}” is locked with a password. Save it without one.")
    size = sum(info.file_size for info in infos)
    check_expansion(name, size, sum(info.compress_size for info in infos), largest=largest)
    if not any(info.filename == member for info in infos):
        raise damaged(name)


def check_expansion(name: str, size: int, packed: int, *, largest: int = LARGEST) -> None:
    """Refuse what expands to too much: see `check_archive`. Raises CorruptDocument."""
    if size > largest or (size > _RATIO_FROM and size > _RATIO * max(1, packed)):
        raise CorruptDocument(
            f"“{name}” expands to {size:,} bytes from {packed:,}; refused, as such files are "
            "made to exhaust a machine's memory. If it is genuine, split it."
        )


def is_encrypted(info: zipfile.ZipInfo) -> bool:
    """Whether a password is needed to read a member of a zip."""
    return bool(info.flag_bits & _ENCRYPTED)


def damaged(name: str, why: str = "") -> CorruptDocument:
    """The error for a file that its own library cannot read."""
    reason = f" ({why})" if why else ""
    return CorruptDocument(
        f"“{name}” is damaged or not what its name says{reason}. Open it in the program that "
        "wrote it, save it again and add it again."
    )
