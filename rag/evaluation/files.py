"""The files that an evaluation writes: none takes another's place, no answer is lost."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import click

from rag.errors import UsageError
from rag.printing import printable


def part_of(details: Path) -> Path:
    """Where rows are kept until all are there."""
    return details.with_name(f"{details.name}.part")


def check_targets(sources: Sequence[Path], details: Path | None, *others: Path | None) -> None:
    """Raise UsageError, before anything is asked, where a file could not be written in the end.

    `sources` are read in the same run, and `details` is for `kept`.
    """
    part = part_of(details) if details else None
    if part and part.exists():
        raise UsageError(
            f"{part} has the answers of a run that broke off. Move it away, or delete it."
        )
    targets = [target for target in (details, part, *others) if target]
    taken = {source.resolve() for source in sources}
    for target in targets:
        folder = target.absolute().parent
        if not folder.is_dir():
            raise UsageError(f"The folder of {target} is not there. Make it, or name another.")
        if target.resolve() in taken:
            raise UsageError(f"{target} is another file of this run. Name a file of its own.")
        if target.is_symlink() or (target.exists() and not target.is_file()):
            raise UsageError(f"{target} is no plain file. Name one.")
        if not all(os.access(path, os.W_OK) for path in (folder, target) if path.exists()):
            raise UsageError(f"{target} may not be written here. Name another file.")
        taken.add(target.resolve())


@contextmanager
def kept(details: Path | None) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Keeps each row as soon as it is given, in a file that becomes `details` when all are there.

    What it kept of a run that breaks off stays, and its place is told.
    """
    if details is None:
        yield lambda row: None
        return
    part = part_of(details)
    with part.open("w", encoding="utf-8") as file:

        def keep(row: Mapping[str, Any]) -> None:
            file.write(f"{json.dumps(row, ensure_ascii=False)}\n")
            file.flush()

        try:
            yield keep
        except BaseException:
            if part.stat().st_size:
                click.echo(f"The answers until then are in {printable(part)}.", err=True)
            else:
                part.unlink()
            raise
    part.replace(details)


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON objects, one a line, in place of what the file held; whole or not at all."""
    lines = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        written = Path(file.name)
        try:
            file.write(lines)
            file.flush()
            written.replace(path)
        except BaseException:
            written.unlink(missing_ok=True)
            raise
