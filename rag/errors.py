"""Every error that Cloister raises on purpose.

    CloisterError                 anything Cloister can explain; never a bug
    ├── UsageError                the request or the command is wrong; asking again does not help
    │   ├── UnknownSetting        a key of cloister.toml or CLOISTER_* that no setting has
    │   ├── UnknownCollection     no collection of that name
    │   ├── NotFound              no such document, page, answer, folder or file
    │   ├── TooLarge              over a limit that the operator can raise
    │   └── Refused               not allowed here: a foreign host or origin, a bind beyond loopback
    ├── DocumentError             one file could not be read; the others go on
    │   ├── UnsupportedFormat     a kind of file that is not read (skipped, not failed)
    │   ├── EmptyDocument         nothing in it to search
    │   ├── ProtectedDocument     a password is needed
    │   ├── TooMuchInside         more files in it, larger or deeper, than the limits allow
    │   ├── CorruptDocument       it is not what its name says, or is damaged
    │   └── ParserStopped         its parser ran out of time or memory, or crashed
    ├── Busy                      someone else holds what is needed; try later (exit code 75)
    ├── ModelError                a model is missing, altered or cannot be loaded
    └── StorageError              the disk is full or a store cannot be read or written

A message says what happened, to what, and what to do next. It never holds a server path that
the asker did not name.
"""

from __future__ import annotations

import errno

# the system's errors that tell of the disk, wherever they come up
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)
_FULL = "The disk is full: nothing was changed. Free some space and try again."
_CHECK = "Check the data directory's disk and owner; `cloister ingest check` tells what is damaged."


class CloisterError(Exception):
    """Anything Cloister can explain; `status` is its HTTP status, `exit_code` the command's."""

    status = 500
    exit_code = 1
    title = "Cloister could not do this"

    @property
    def code(self) -> str:
        """A stable name for programs: the class's name in kebab case."""
        name = type(self).__name__
        return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")


class UsageError(CloisterError):
    """The request or the command is wrong; asking again does not help."""

    status = 400
    exit_code = 2
    title = "The request is not valid"


class UnknownSetting(UsageError):
    """A key of cloister.toml or CLOISTER_* that no setting has."""

    title = "Unknown setting"


class UnknownCollection(UsageError):
    """No collection of that name."""

    status = 404
    title = "Unknown collection"


class NotFound(UsageError):
    """No such document, page, answer, folder or file."""

    status = 404
    title = "Not found"


class TooLarge(UsageError):
    """Over a limit that the operator can raise."""

    status = 413
    title = "Too large"


class Refused(UsageError):
    """Not allowed here: a foreign host or origin, a bind beyond loopback."""

    status = 403
    title = "Refused"


class DocumentError(CloisterError):
    """One file could not be read; the others go on."""

    status = 422
    title = "The document could not be read"


class UnsupportedFormat(DocumentError):
    """A kind of file that is not read: skipped by a sync, refused for an upload."""

    status = 415
    title = "This kind of file is not read"


class EmptyDocument(DocumentError):
    """Nothing in it to search."""

    title = "The document is empty"


class ProtectedDocument(DocumentError):
    """A password is needed to open it."""

    title = "The document is password-protected"


class TooMuchInside(DocumentError):
    """More files in it, larger ones or deeper, than the limits allow."""

    title = "The file holds more than is allowed"


class CorruptDocument(DocumentError):
    """It is not what its name says, or is damaged."""

    title = "The document is damaged"


class ParserStopped(DocumentError):
    """Its parser ran out of time or memory, or crashed."""

    title = "The document took too much time or memory to read"


class Busy(CloisterError):
    """Someone else holds what is needed; try later."""

    status = 503
    exit_code = 75
    title = "Busy"


class ModelError(CloisterError):
    """A model is missing, altered or cannot be loaded."""

    status = 503
    title = "The model is not available"


class StorageError(CloisterError):
    """The disk is full or a store cannot be read or written."""

    status = 507
    title = "The library's storage is not available"


def storage_error(error: OSError) -> StorageError:
    """What an operating system's error on the library's own files means for the user."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(_FULL)
    return StorageError(f"The library's files cannot be written: {error.strerror}. {_CHECK}")


def store_error(store: str, reason: object) -> StorageError:
    """What a store's own failure to write or read means for the user."""
    text = str(reason)
    if "No space left" in text or "disk is full" in text:
        return StorageError(_FULL)
    return StorageError(f"{store} cannot be used: {text}. {_CHECK}")


def document_error(code: str, message: str) -> DocumentError:
    """The DocumentError whose `code` is given, as a child process reports it."""
    kinds = (
        UnsupportedFormat,
        EmptyDocument,
        ProtectedDocument,
        TooMuchInside,
        CorruptDocument,
        ParserStopped,
    )
    for kind in kinds:
        error = kind(message)
        if error.code == code:
            return error
    return DocumentError(message)
