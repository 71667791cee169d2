"""Opens the catalog's database and brings its tables up to date."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DatabaseError, OperationalError

from rag.errors import Busy, StorageError
from rag.home import make_home, unusable

NEWEST = "0013"
BUSY_SECONDS = 30


def open_engine(path: Path) -> Engine:
    """An engine over the SQLite file at `path`, made and migrated where needed.

    Raises StorageError when the file cannot be opened or is not a catalog, and where it is not
    there while stored files are: a new one would not know them.
    """
    make_home(path.parent)
    # in this order: another process may be making both
    if _has_originals(path.parent) and not path.exists():
        raise _lost(path)
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        # an error's message, which may be logged, holds no text of a document
        hide_parameters=True,
        pool_size=40,
        max_overflow=40,
    )
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    with translated():
        _keep_temporary_files(engine, path.parent)
        _migrate(engine, path)
    return engine


@contextmanager
def translated() -> Iterator[None]:
    """Turn the database's errors into Cloister's."""
    try:
        yield
    except DatabaseError as error:
        reason = str(error.orig)
        if "locked" in reason or "busy" in reason:
            raise Busy("The catalog is being written by another process; try again.") from error
        if "full" in reason:
            raise StorageError(
                "The disk is full: nothing was changed. Free some space and try again."
            ) from error
        if "unable to open" in reason or "readonly" in reason:
            raise unusable(reason) from error
        advice = " Check the disk and its free space." if "I/O" in reason else ""
        raise StorageError(f"The catalog cannot be used: {reason}.{advice}") from error


def _on_connect(connection: Any, _record: object) -> None:
    # transactions are begun by hand, so that a writer takes its lock before it reads
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "secure_delete = ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _keep_temporary_files(engine: Engine, folder: Path) -> None:
    """A large sort or a VACUUM writes documents' text: into the data directory, not to /tmp."""
    quoted = str(folder).replace("'", "''")
    with engine.connect() as connection:
        cursor = connection.connection.cursor()
        cursor.execute(f"PRAGMA temp_store_directory = '{quoted}'")
        cursor.close()


def _on_begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("writes", False):
        connection.exec_driver_sql("BEGIN")
        return
    # within a transaction it cannot be set, and the connection keeps what the last one set
    lasting = options.get("lasting", True)
    connection.exec_driver_sql(f"PRAGMA synchronous = {'FULL' if lasting else 'NORMAL'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _migrate(engine: Engine, path: Path) -> None:
    if _revision(engine) == NEWEST:
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        if _revision_of(connection) == NEWEST:  # another process was faster
            return
        config.attributes["connection"] = connection
        revision = _revision_of(connection)
        if revision is None and _has_originals(path.parent):
            raise _lost(path)
        _refuse_newer(revision)
        command.upgrade(config, "head")


def _has_originals(home: Path) -> bool:
    return any((home / "originals").glob("[0-9a-f][0-9a-f]/*"))


def _lost(path: Path) -> StorageError:
    return StorageError(
        f"The library's catalog, {path.name}, is gone or empty, while stored files are still in "
        f"{path.parent / 'originals'}. Nothing was changed. Put {path.name} back from a backup, or "
        "move that folder away to begin anew."
    )


def _refuse_newer(revision: str | None) -> None:
    if revision is not None and revision > NEWEST:
        raise StorageError(
            f"This library was written by a newer Cloister (catalog {revision}, known up to "
            f"{NEWEST}). Install that version, or use another data directory."
        )


def _revision(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return _revision_of(connection)


def _revision_of(connection: Connection) -> str | None:
    try:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except OperationalError as error:
        if isinstance(error.orig, sqlite3.OperationalError) and "no such table" in str(error.orig):
            return None
        raise
