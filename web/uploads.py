"""Takes the files of a multipart request in, each for itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

from flask import request
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import UnsupportedMediaType

from ingest.uploads import clean_name, receive
from rag.catalog.documents import get_document
from rag.errors import CloisterError, TooLarge, UsageError
from rag.records import DEFAULT_COLLECTION
from web.problems import problem
from web.served import Served, served

# what the form around the files may take
_SLACK_BYTES = 1_000_000
_SLACK_PARTS = 8


@dataclass(slots=True)
class Receipt:
    """What became of each file."""

    documents: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)


def receive_request() -> Receipt:
    """Take in the `files` of the current request.

    Raises UsageError, TooLarge, UnsupportedMediaType.
    """
    here = served()
    settings = here.library.settings
    request.max_content_length = settings.ingest_max_bytes + _SLACK_BYTES
    request.max_form_parts = settings.ingest_max_files + _SLACK_PARTS
    if request.mimetype != "multipart/form-data":
        raise UnsupportedMediaType(
            "Send the files as a form (multipart/form-data), one or more in the field “files”, as "
            "“curl -F files=@handbook.pdf” does."
        )
    files = [item for item in request.files.getlist("files") if item.filename]
    unknown = (set(request.files) - {"files"}) | (set(request.form) - {"collection"})
    if unknown:
        raise UsageError(f"“{min(unknown)[:80]}” is not a field of this request.")
    if not files:
        raise UsageError("The request holds no file with a name. Send one or more as “files”.")
    if len(files) > settings.ingest_max_files:
        raise TooLarge(
            f"{len(files)} files were sent; at most {settings.ingest_max_files} are taken at once "
            "(ingest.max_files). Send them in several requests."
        )
    return _receive(here, files, request.form.get("collection") or DEFAULT_COLLECTION)


def _receive(here: Served, files: list[FileStorage], collection: str) -> Receipt:
    receipt = Receipt()
    library = here.library
    for item in files:
        name = item.filename or ""
        try:
            document_id, new = receive(
                library.settings, library.catalog, cast(BinaryIO, item.stream), name, collection
            )
            document = get_document(library.catalog, document_id)
        except CloisterError as error:
            receipt.errors.append({"source": name[:255], **problem(error)})
            continue
        receipt.documents.append(
            {
                "id": document_id,
                "name": clean_name(name),
                "source": document.source,
                "state": document.state,
                "new": new,
            }
        )
        here.wake()
    return receipt
