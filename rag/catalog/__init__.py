"""The catalog: the truth about the library, in one SQLite file.

Chroma and tantivy are indexes of it and can be rebuilt from it. Several processes may read and
write it at once; each function here is one transaction.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DatabaseError

from rag.catalog.engine import open_engine, translated
from rag.catalog.schema import facts

# in the data directory
CATALOG_FILE = "catalog.sqlite"


class Catalog:
    """An open catalog. `read()` and `write()` are its transactions."""

    def __init__(self, path: Path) -> None:
        self._engine = open_engine(path)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the catalog throughout."""
        with translated(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self, lasting: bool = True) -> Iterator[Connection]:
        """A transaction that is the only writer until it ends.

        One that is not `lasting` survives a kill, but perhaps no power cut, and does not wait for
        the disk. Raises Busy when another process writes for too long, StorageError on a full disk.
        """
        options = {"writes": True, "lasting": lasting}
        with (
            translated(),
            self._engine.connect().execution_options(**options) as connection,
            connection.begin(),
        ):
            yield connection

    def fact(self, name: str) -> str | None:
        """The value noted under `name`, or None."""
        with self.read() as connection:
            return connection.execute(select(facts.c.value).where(facts.c.name == name)).scalar()

    def note(self, name: str, value: str | None) -> None:
        """Note `value` under `name`; None forgets it."""
        with self.write() as connection:
            put_fact(connection, name, value)

    def truncate_log(self) -> bool:
        """Write the WAL back and empty it, so that erased text is not left in it.

        False where another process reads the catalog all the while.
        """
        ((busy, _, _),) = self._outside("PRAGMA wal_checkpoint(TRUNCATE)")
        return not busy

    def compact(self) -> None:
        """Write the file anew without what was deleted. Others wait to write meanwhile."""
        self._outside("VACUUM")

    def damage(self) -> list[str]:
        """What SQLite finds wrong with the file; nothing in a sound one."""
        rows = self._outside("PRAGMA integrity_check(20)")
        broken = self._outside("PRAGMA foreign_key_check")
        return [row[0] for row in rows if row[0] != "ok"] + [
            f"a row of {row[0]} refers to a missing row of {row[2]}" for row in broken[:20]
        ]

    def _outside(self, statement: str) -> list[Any]:
        """Run a statement outside of any transaction."""
        with translated(), self._engine.connect() as connection:
            connection.rollback()
            cursor = connection.connection.cursor()
            try:
                cursor.execute(statement)
                return list(cursor.fetchall())
            except sqlite3.DatabaseError as error:
                raise DatabaseError(statement, None, error) from error
            finally:
                cursor.close()

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def put_fact(connection: Connection, name: str, value: str | None) -> None:
    """Note `value` under `name` within a transaction; None forgets it."""
    if value is None:
        connection.execute(delete(facts).where(facts.c.name == name))
        return
    statement = insert(facts).values(name=name, value=value)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["name"], set_={"value": value})
    )


def now() -> str:
    """This moment in UTC, ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def queue_time() -> float:
    """Seconds for ordering the queue."""
    return time.time()
