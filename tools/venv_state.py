"""What is known of the virtual environment: finished, half made, or made for something else."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

STAMP = "cloister-setup.json"
INSTALLING = "cloister-installing"


@dataclass(frozen=True)
class Stamp:
    """What a finished set-up was made from; `key` is a hash of all inputs."""

    key: str
    python: str
    build: str
    extras: list[str] = field(default_factory=list)


def make_key(root: Path, inputs: Iterable[Path], *more: str) -> str:
    """A hash over the place of the checkout, the files' contents, and `more`."""
    digest = hashlib.sha256("\0".join([str(root), *more]).encode())
    for path in inputs:
        digest.update(f"\0{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def read_stamp(venv: Path) -> Stamp | None:
    """The stamp of a finished set-up, or None."""
    try:
        return Stamp(**json.loads((venv / STAMP).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_stamp(venv: Path, stamp: Stamp) -> None:
    """Say that the set-up is finished, all at once."""
    new = venv / (STAMP + ".new")
    new.write_text(json.dumps(asdict(stamp)) + "\n", "utf-8")
    new.replace(venv / STAMP)


def satisfies(stamp: Stamp | None, key: str, extras: Iterable[str]) -> bool:
    """Whether nothing is left to do."""
    return stamp is not None and stamp.key == key and set(extras) <= set(stamp.extras)


def broken_packages(venv: Path) -> list[str]:
    """Installed packages that lack a file or hold one of another size, as a kill leaves them."""
    broken: list[str] = []
    for info in venv.glob("lib/python*/site-packages/*.dist-info"):
        try:
            with (info / "RECORD").open(encoding="utf-8", newline="") as file:
                whole = all(_is_whole(info.parent / row[0], row[2]) for row in csv.reader(file))
        except (OSError, IndexError, ValueError):
            whole = False
        if not whole:
            broken.append(info.name.split("-")[0])
    return sorted(broken)


def _is_whole(path: Path, size: str) -> bool:
    return not size or path.stat().st_size == int(size)
