"""Where a model is put together before it counts as one: beside the others, under a hidden name.

It appears under its own name whole or not at all: flushed to the disk and renamed.
"""

from __future__ import annotations

import fcntl
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rag.errors import Busy, ModelError, StorageError, UsageError
from rag.files import flush
from rag.models.downloading import full
from rag.models.folder import Manifest, ModelFolder, find_model, write_manifest

PULLING, ADDING, TUNING = ".pulling-", ".adding-", ".tuning-"
_FILES, LOCK = "files", "lock"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
# for other programs, and for the file system itself
SPARE_BYTES = 200_000_000


def folder_name(name: str) -> str:
    """The folder of a model of this name or hub id. Raises UsageError for no such name."""
    folder = name.replace("/", "--", 1)
    if not _NAME.fullmatch(folder) or ".." in folder:
        raise UsageError(
            f"“{name[:120]}” cannot name a model: use letters, digits, dots, dashes and "
            "underscores."
        )
    return folder


@contextmanager
def staged(models_path: Path, label: str, keep: bool, doing: str = "fetching") -> Iterator[Path]:
    """A folder to put a model together in; with `keep` what is in it stays until it is finished.

    Raises Busy where another process works in it, StorageError where it cannot be written.
    """
    stage = models_path / label
    try:
        (stage / _FILES).mkdir(parents=True, exist_ok=True)
        with (stage / LOCK).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Busy(f"Another process is {doing} this model. Wait until it ends.") from error
            if not keep:  # of one that was killed
                shutil.rmtree(stage / _FILES)
                (stage / _FILES).mkdir()
            try:
                yield stage / _FILES
            finally:
                if not keep or not (stage / _FILES).exists():
                    shutil.rmtree(stage, ignore_errors=True)
    except OSError as error:
        raise full(error) from error


def publish(files: Path, target: Path, manifest: Manifest) -> ModelFolder:
    """Make what was put together a model of that name. Raises ModelError where there is one."""
    write_manifest(files, manifest)
    appear(files, target)
    return find_model(target.parent, target.name)


def appear(files: Path, target: Path) -> None:
    """Flush a folder and give it its name. Raises ModelError where there is one of that name."""
    settle(files)
    try:
        files.rename(target)
    except OSError as error:
        if target.exists():
            raise ModelError(
                f"{target.name} is in the models folder already. Remove it first: "
                f"cloister models remove {target.name}"
            ) from error
        raise
    flush(target.parent)


def settle(folder: Path) -> None:
    """Make every file and folder below `folder` durable, and readable like the others."""
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o755 if path.is_dir() else 0o644)
        flush(path)


def check_space(models_path: Path, needed: int, what: str) -> None:
    """Raises StorageError where the disk has not so many bytes free."""
    free = shutil.disk_usage(models_path).free
    if free < needed + SPARE_BYTES:
        raise StorageError(
            f"Too little disk space for {what}: {(needed + SPARE_BYTES) / 1e9:,.1f} GB are needed, "
            f"{free / 1e9:,.1f} GB are free. Make room, or set CLOISTER_MODELS to another folder."
        )
