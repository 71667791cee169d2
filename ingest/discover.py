"""Finds the files of a folder: names and times, nothing opened."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.conversion import without_converter
from ingest.formats import suffix_kind, unread
from ingest.patterns import HIDDEN, Selection
from rag.errors import NotFound, UnsupportedFormat, UsageError

# a file changed this recently may change again within one tick of its clock
RACY_NANOSECONDS = 2_000_000_000
# what the stat key of such a file begins with
_UNSURE = "?"
# the folders that Cloister makes in its data directory; any other in it is the operator's
OWN_FOLDERS = ("chroma", "comparisons", "logs", "models", "originals", "run", "words")
_OWN = "Cloister's own data directory"


@dataclass(frozen=True, slots=True)
class Found:
    """A file that should be read. `stat_key` is equal while the file is the same."""

    source: str
    path: str
    kind: str
    stat_key: str


@dataclass(frozen=True, slots=True)
class Passed:
    """A file or folder that is not read, and why; `failed` where it should have been.

    Of one that is only not `readable_now` what is known stays.
    """

    source: str
    reason: str
    failed: bool
    readable_now: bool = True


def walk(
    folder: Path, chosen: Selection | None = None, home: Path | None = None
) -> Iterator[Found | Passed]:
    """Every file below `folder`, in the order of their paths.

    Hidden files and what is not `chosen` are left out without a word; links are followed to files
    inside the folder only that are not left out themselves, and never to folders. The data
    directory `home` is not entered. Raises what `why_not` gives and raises.
    """
    if refusal := why_not(folder, home):
        raise refusal
    root = folder.resolve()
    home = home and home.resolve()
    inside = home if home and home.is_relative_to(root) else None
    yield from _walk(root, chosen or Selection(), inside)


def why_not(folder: Path, home: Path | None = None) -> UsageError | None:
    """Why a folder cannot be synced, or None where it can: it is not there, or Cloister's own.

    Raises NotFound where the system does not let that be seen: the folder may well be there.
    """
    try:
        there = stat.S_ISDIR(folder.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        there = False
    except OSError as error:
        raise NotFound(
            f"{folder} cannot be looked at: {why(error)}. Nothing was changed."
        ) from error
    if not there:
        return NotFound(
            f"{folder} is not a folder that can be read. Nothing was changed; is everything "
            "mounted?"
        )
    root, home = folder.resolve(), home and home.resolve()
    if home and (root == home or any(root.is_relative_to(home / own) for own in OWN_FOLDERS)):
        return UsageError(
            f"{folder} holds Cloister's own files, which are not synced. Nothing was changed; keep "
            "the documents in a folder of their own."
        )
    return None


def why(error: OSError) -> str:
    """What the system says of a file or folder, and what to do where that is known."""
    said = error.strerror or str(error)
    if error.errno == errno.EACCES:
        return f"{said}; let the user that runs the sync read it, and enter the folders above it"
    return said


def _walk(root: Path, chosen: Selection, home: Path | None) -> Iterator[Found | Passed]:
    """Depth first, with a stack of its own: folders may be nested deeper than Python's."""
    stack = [_entries(root, "", chosen)]
    while stack:
        item = next(stack[-1], None)
        if item is None:
            stack.pop()
            continue
        if isinstance(item, Passed):
            yield item
            continue
        entry, source, is_folder = item
        if is_folder and chosen.enters(source):
            if Path(entry.path) == home:
                yield Passed(source, _OWN, False)
            else:
                stack.append(_entries(Path(entry.path), f"{source}/", chosen))
        elif not is_folder and chosen.takes(source):
            yield from _file(root, entry, source, chosen, home)


def _entries(
    folder: Path, prefix: str, chosen: Selection
) -> Iterator[tuple[os.DirEntry[str], str, bool] | Passed]:
    """What a folder holds, by name: its path below the root, and whether it is a folder."""
    try:
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError as error:
        yield Passed(prefix or ".", f"the folder cannot be read: {why(error)}", True)
        return
    for entry in entries:
        if entry.name.startswith(HIDDEN) and not chosen.hidden:
            continue
        source = prefix + entry.name
        try:
            source.encode()
        except UnicodeEncodeError:
            shown = source.encode("utf-8", "replace").decode()
            yield Passed(shown, "its name is not valid UTF-8; rename it", True)
            continue
        try:
            is_folder = entry.is_dir(follow_symlinks=False)
        except OSError as error:
            if chosen.enters(source):
                yield Passed(source, f"it cannot be read: {why(error)}", True)
            continue
        yield entry, source, is_folder


def _file(
    root: Path, entry: os.DirEntry[str], source: str, chosen: Selection, home: Path | None
) -> Iterator[Found | Passed]:
    try:
        if entry.is_symlink():
            target = Path(entry.path).resolve()
            if not target.is_relative_to(root) or target.is_dir():
                yield Passed(source, "a link that leads out of the folder or to a folder", False)
                return
            if home and target.is_relative_to(home):
                yield Passed(source, _OWN, False)
                return
            if not chosen.reaches(target.relative_to(root).as_posix()):
                yield Passed(source, "a link to a file that is hidden or left out", False)
                return
        facts = entry.stat()
        if not stat.S_ISREG(facts.st_mode):
            yield Passed(source, "not an ordinary file", False)
            return
        kind = suffix_kind(source)
    except UnsupportedFormat:
        # without the list of the formats: a log holds this for every such file of every sync
        yield Passed(source, unread(source), False)
        return
    except OSError as error:
        yield Passed(source, f"it cannot be read: {why(error)}", True)
        return
    except RuntimeError as error:
        yield Passed(source, f"it cannot be read: {error}", True)
        return
    if kind in chosen.unread:
        yield Passed(source, str(without_converter(source, kind)), False, readable_now=False)
        return
    yield Found(source, entry.path, kind, stat_key(facts))


def stat_key(facts: os.stat_result) -> str:
    """Size, times and inode as one word.

    Of a file that changed just now, which may change again within the same tick, it has the time
    alone and is not `telling`.
    """
    now = time.time_ns()
    # a time in the future is not just now, however often it is looked at
    if any(0 <= now - at < RACY_NANOSECONDS for at in (facts.st_mtime_ns, facts.st_ctime_ns)):
        return f"{_UNSURE}:{facts.st_mtime_ns}"
    return f"{facts.st_size}:{facts.st_mtime_ns}:{facts.st_ctime_ns}:{facts.st_ino}"


def telling(key: str) -> bool:
    """Whether an equal stat key, another day, means the same file."""
    return key != "" and not key.startswith(_UNSURE)
