"""The folder that an index is in, so that a rebuilt one takes its place in one step.

An index named `chroma` lives in `chroma/<serial>/`; which serial counts is a fact of the catalog.
"""

from __future__ import annotations

from pathlib import Path

from rag.catalog import Catalog
from rag.errors import store_error
from rag.files import delete


class Serials:
    """The numbered folders of one index below the data directory."""

    def __init__(self, catalog: Catalog, home: Path, name: str) -> None:
        self._catalog = catalog
        self._folder = home / name
        self._fact = f"{name}.serial"

    def current(self) -> Path | None:
        """The folder in use, or None when there is none yet."""
        serial = self._catalog.fact(self._fact)
        path = self._folder / serial if serial else None
        return path if path and path.is_dir() else None

    def fresh(self) -> Path:
        """A new empty folder, not in use before `switch`. Raises StorageError."""
        taken = [int(p.name) for p in self._folder.glob("*") if p.name.isdigit()]
        path = self._folder / str(max(taken, default=0) + 1)
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise store_error(f"The folder {self._folder.name}", error) from error
        return path

    def switch(self, path: Path) -> None:
        """Use `path` from now on."""
        self._catalog.note(self._fact, path.name)

    def left_over(self) -> list[Path]:
        """What lies beside the folder in use."""
        current = self.current()
        return sorted(path for path in self._folder.glob("*") if path != current)

    def sweep(self) -> None:
        """Delete everything that is not in use, as far as it can be deleted."""
        for path in self.left_over():
            delete(path)
