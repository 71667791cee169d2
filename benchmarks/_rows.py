"""Rows of a table of measurements, kept in a file as soon as each is known."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from _common import say


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: how it was cut and searched, and the mean scores."""

    method: str
    search: str
    chunks: int
    characters: float
    values: Mapping[str, float]


class KeptRows:
    """The rows of one series of measurements, by method and search."""

    def __init__(self, path: Path, series: str) -> None:
        self._path = path
        self._series = series
        with closing(sqlite3.connect(path)) as file, file:
            file.execute("CREATE TABLE IF NOT EXISTS rows (key PRIMARY KEY, row)")

    def get(self, method: str, search: str) -> Row | None:
        """The row, if it was measured before."""
        with closing(sqlite3.connect(self._path)) as file:
            asked = "SELECT row FROM rows WHERE key = ?"
            found = file.execute(asked, [self._key(method, search)]).fetchone()
        return Row(**json.loads(found[0])) if found else None

    def put(self, row: Row) -> None:
        """Keep a row."""
        shown = ", ".join(f"{name} {value:.1f}" for name, value in row.values.items())
        say(f"{row.method}, {row.search}: {shown}")
        with closing(sqlite3.connect(self._path, timeout=60)) as file, file:
            key = self._key(row.method, row.search)
            file.execute(
                "INSERT OR REPLACE INTO rows VALUES (?, ?)", [key, json.dumps(asdict(row))]
            )

    def _key(self, method: str, search: str) -> str:
        return f"{self._series}: {method}, {search}"
