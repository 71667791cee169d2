"""Archives that a model was carried in with: only plain files come out, within one folder."""

from __future__ import annotations

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from rag.errors import ModelError
from rag.models.staging import check_space

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
_MOST_FILES = 5_000
_BLOCK = 1 << 20
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, ValueError,
           NotImplementedError)  # fmt: skip
# weights hardly shrink; what does so much is no model
_RATIO, _RATIO_FROM = 200, 50_000_000


def unpack(archive: Path, folder: Path) -> None:
    """Write an archive's plain files below `folder`; hidden ones are left out.

    Raises ModelError for a damaged archive, for one that reaches outside of its folder, holds links
    or devices, is locked, or would expand out of proportion; StorageError where there is no room.
    """
    read = _zip_files if archive.name.lower().endswith(".zip") else _tar_files
    try:
        size, count, packed = 0, 0, archive.stat().st_size
        for name, length, stream in read(archive):
            target = _below(folder, name, archive.name)
            if target is None:
                continue
            size, count = size + length, count + 1
            if count > _MOST_FILES or (size > _RATIO_FROM and size > _RATIO * packed):
                raise ModelError(
                    f"{archive.name} expands out of proportion: {count:,} files, {size:,} bytes "
                    f"from {packed:,}. Nothing of it was kept."
                )
            check_space(folder, length, archive.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as out:
                shutil.copyfileobj(stream, out, _BLOCK)
    except FileExistsError as error:
        raise ModelError(f"{archive.name} holds a file twice. Pack it again.") from error
    except _DAMAGE as error:
        raise ModelError(
            f"{archive.name} is damaged ({type(error).__name__}). Carry it in again."
        ) from error


def _below(folder: Path, name: str, archive: str) -> Path | None:
    """Where a file of the archive goes; None for a hidden one. Raises ModelError for outside."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise ModelError(f"{archive} reaches outside of its folder (“{name[:80]}”): it is refused.")
    if any(part.startswith(".") for part in path.parts):
        return None
    return folder / path


def _zip_files(path: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            mode = info.external_attr >> 16
            if stat.S_IFMT(mode) and not stat.S_ISREG(mode):
                raise _link(path.name, info.filename)
            if info.flag_bits & 1:
                raise ModelError(f"{path.name} is locked with a password. Pack it without one.")
            with archive.open(info) as stream:
                yield info.filename, info.file_size, stream


def _tar_files(path: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    with tarfile.open(path, "r:*", errorlevel=2) as archive:
        while info := archive.next():
            archive.members = []  # type: ignore[attr-defined]  # what was read is not needed again
            if info.isdir():
                continue
            stream = archive.extractfile(info) if info.isreg() else None
            if stream is None:
                raise _link(path.name, info.name)
            with stream:
                yield info.name.removeprefix("./"), info.size, stream


def _link(archive: str, name: str) -> ModelError:
    return ModelError(
        f"“{name[:80]}” in {archive} is a link or a device, no file. A folder of a hub's cache "
        "holds links: pack it with their files (tar --dereference), or add the folder itself."
    )
