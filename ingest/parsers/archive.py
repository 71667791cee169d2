"""Guards zip-based formats: a small file must not unpack into a huge one."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

from rag.errors import CorruptDocument, ProtectedDocument

LARGEST = 1 << 30
# what people write packs to a tenth or a thirtieth; above so many bytes no more than this is taken
_RATIO = 150
_RATIO_FROM = 8_000_000
_ENCRYPTED = 1
# a zip's end: its directory's size and place; and the directory itself, of which a program that
# reads it makes many times as much
_END = struct.Struct("<4s4H2LH")
_END_MARK = b"PK\5\6"
_LONGEST_COMMENT = 1 << 16
_LARGEST_DIRECTORY = 4_000_000


def check_archive(path: Path, name: str, member: str, *, largest: int = LARGEST) -> None:
    """Look at a zip's directory before anything is unpacked; `member` must be in it.

    Raises CorruptDocument for a damaged zip, one that lacks `member`, or one that would expand
    to more than `largest` bytes (or, from 8 MB, more than 150-fold), as a whole or in a member;
    ProtectedDocument when its members are encrypted.
    """
    check_directory(path, name)
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise damaged(name) from error
    if any(map(is_encrypted, infos)):
        raise ProtectedDocument(f"“{name}” is locked with a password. Save it without one.")
    size = sum(info.file_size for info in infos)
    packed = sum(info.compress_size for info in infos)
    if packed > path.stat().st_size:
        raise damaged(name, "its members overlap")
    check_expansion(name, size, packed, largest=largest)
    for info in infos:
        check_expansion(name, info.file_size, info.compress_size, largest=largest)
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


def check_directory(path: Path, name: str) -> None:
    """Raise CorruptDocument where a zip lists more members than any document has."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _LONGEST_COMMENT - _END.size))
        tail = file.read()
    at = tail.rfind(_END_MARK)
    if at < 0 or len(tail) - at < _END.size:
        raise damaged(name)
    # an archive of more than 4 GB says here that the size stands elsewhere, with its largest number
    if _END.unpack_from(tail, at)[5] > _LARGEST_DIRECTORY:
        raise damaged(name, "it lists too many parts")


def damaged(name: str, why: str = "") -> CorruptDocument:
    """The error for a file that its own library cannot read."""
    reason = f" ({why})" if why else ""
    return CorruptDocument(
        f"“{name}” is damaged or not what its name says{reason}. Open it in the program that "
        "wrote it, save it again and add it again."
    )
