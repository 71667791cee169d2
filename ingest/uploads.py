"""Takes single files in: from the web page, the REST endpoint and `cloister ingest add`."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath
from typing import BinaryIO

from ingest.conversion import check_converter
from ingest.formats import kind_of
from rag.catalog import Catalog
from rag.catalog.collections import collection_ids
from rag.catalog.documents import Upload, add_upload
from rag.errors import UsageError
from rag.originals import incoming
from rag.settings import Settings

LONGEST_NAME_BYTES = 255


def receive(
    settings: Settings, catalog: Catalog, stream: BinaryIO, name: str, collection: str
) -> tuple[str, bool]:
    """Store a file durably and queue it; returns its document id and whether it is new.

    When this returns, the file is in the library even if the power goes. Raises DocumentError
    for a file that will not be read, TooLarge, StorageError, UnknownCollection and UsageError.
    """
    name = clean_name(name)
    with catalog.read() as connection:
        collection_ids(connection, [collection])
    with incoming(settings, catalog) as batch:
        bytes_hash, size, head = batch.take(stream, name)
        kind = kind_of(name, head)
        check_converter(settings, name, kind)
        batch.settle()
        return add_upload(catalog, Upload(name, kind, size, bytes_hash), collection)


def clean_name(name: str) -> str:
    """A file's own name: no folders, no control characters. Raises UsageError if none is left."""
    last = PurePosixPath(name.replace("\\", "/")).name
    kept = "".join(c for c in last if unicodedata.category(c)[0] != "C")
    kept = unicodedata.normalize("NFC", " ".join(kept.split()))
    if kept in ("", ".", ".."):
        raise UsageError("The file has no name. Give it one that ends in its kind, like notes.txt.")
    if len(kept.encode()) > LONGEST_NAME_BYTES:
        raise UsageError(
            f"The file name “{kept[:40]}…” is longer than {LONGEST_NAME_BYTES} bytes. Shorten it."
        )
    return kept
