"""Takes in the files within a file, as the parser's process sends them.

The sender has handled a hostile file and is not trusted: names are cleaned here, kinds and limits
are looked at again, and the bytes are stored under the hash that is computed here.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import BinaryIO, cast

from ingest.formats import kind_of
from ingest.parsers.packed import UnpackLimits
from ingest.parsers.wire import unpack_error
from rag.errors import CorruptDocument, DocumentError, ParserStopped, TooLarge
from rag.originals import Incoming
from rag.parsed import Member

LONGEST_NAME_BYTES = 1000
_LONGEST_PART_BYTES = 255


class MemberStream:
    """The bytes of one member as they come; at their end its error, where it has one."""

    def __init__(self, frames: Callable[[], bytes]) -> None:
        self._frames = frames
        self._ended = False

    def read(self, _size: int = -1) -> bytes:
        """The next bytes, none at the end. Raises DocumentError, ValueError for nonsense."""
        if self._ended:
            return b""
        frame = self._frames()
        if frame[:1] == b"d":
            return frame[1:]
        self._ended = True
        if frame[:1] != b"e":
            raise nonsense()
        if frame[1:]:
            try:
                error, _ = unpack_error(frame[1:])
            except ValueError as wrong:
                raise nonsense() from wrong
            raise error
        return b""

    def drain(self) -> None:
        """Pass over what was not read."""
        while not self._ended:
            try:
                self.read()
            except ParserStopped:
                raise
            except DocumentError:
                return


class Intake:
    """The members of one file: stored among `originals`, listed in `members`."""

    def __init__(self, originals: Incoming, name: str, limits: UnpackLimits) -> None:
        self.limits = limits
        self.members: list[Member] = []
        self._originals = originals
        self._name = name
        # those that are taken, and the number that the next one of that name is tried with
        self._names: dict[str, int] = {}
        self._kept: set[str] = set()
        self._size = 0

    def take(self, raw_name: str, stream: MemberStream) -> None:
        """Store one member, or list it with the reason why it is not.

        Raises StorageError, and ParserStopped where the sender keeps to no limit.
        """
        name, error = clean_path(raw_name)
        name = self._unique(name)
        try:
            if error:
                raise error
            bytes_hash, size, head = self._originals.take(cast(BinaryIO, stream), name)
            self._count(size)
            try:
                kind = kind_of(name, head)
            except DocumentError:
                if bytes_hash not in self._kept:
                    self._originals.drop(bytes_hash)
                raise
            self.members.append(Member(name, kind, bytes_hash, size))
            self._kept.add(bytes_hash)
        except ParserStopped:
            raise
        except (DocumentError, TooLarge) as failed:
            self._count(0)
            self.members.append(Member(name, error_code=failed.code, error=str(failed)))

    def _count(self, size: int) -> None:
        self._size += size
        if len(self.members) >= self.limits.members or self._size > self.limits.size:
            raise ParserStopped(
                f"Reading “{self._name}” was stopped: its parser sent more than it was allowed. "
                "Do not trust this file."
            )

    def _unique(self, name: str) -> str:
        """The name, with a number where the file has another of that name."""
        path, free = PurePosixPath(name), name
        while free in self._names:
            number = self._names[name]
            self._names[name] += 1
            free = str(path.with_name(f"{path.stem} ({number}){path.suffix}"))
        self._names[free] = 2
        return free


def member_name(frame: bytes) -> str:
    """The name in the frame that begins a member."""
    try:
        name = json.loads(frame)["name"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise nonsense() from error
    if not isinstance(name, str):
        raise nonsense()
    return name


def clean_path(raw: str) -> tuple[str, DocumentError | None]:
    """A member's path as it is shown, and the reason not to take it, if there is one.

    Nothing is ever written under it. Drives, roots and control characters are left out.
    """
    whole = raw.encode("utf-8", "replace").decode()
    parts = [_clean_part(part) for part in whole.replace("\\", "/").split("/")]
    parts = [part for part in parts if part not in ("", ".") and not _is_drive(part)]
    climbs = ".." in parts
    parts = [part for part in parts if part != ".."] or ["unnamed"]
    name = "/".join(parts)
    if climbs:
        return name, CorruptDocument(
            f"“{name}” was left out: its path leads out of the file that it is in."
        )
    longest = max(len(part.encode()) for part in parts)
    if longest > _LONGEST_PART_BYTES or len(name.encode()) > LONGEST_NAME_BYTES:
        short = f"{parts[-1][:40]}…"
        return short, CorruptDocument(f"“{short}” was left out: its name is too long. Shorten it.")
    return name, None


def nonsense() -> ParserStopped:
    """The error for a sender that keeps to no protocol."""
    return ParserStopped(
        "Reading was stopped: its parser's reply makes no sense. Do not trust this file."
    )


def _clean_part(part: str) -> str:
    kept = "".join(c for c in part if unicodedata.category(c)[0] != "C")
    return unicodedata.normalize("NFC", " ".join(kept.split()))


def _is_drive(part: str) -> bool:
    return len(part) == 2 and part[1] == ":" and part[0].isalpha()
