"""Finds the files of a folder: names and times, nothing opened."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.conversion import without_converter
from ingest.formats import is_read, suffix_kind, unread
from ingest.patterns import HIDDEN, Selection
from rag.errors import NotFound

# a file changed this recently may change again within one tick of its clock
RACY_NANOSECONDS = 2_000_000_000
# what the stat key of such a file begins with
_UNSURE = "?"


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


def walk(folder: Path, chosen: Selection | None = None) -> Iterator[Found | Passed]:
    """Every file below `folder`, in the order of their paths.

    Hidden files and what is not `chosen` are left out without a word; links are followed to files
    inside the folder only, and never to folders. Raises NotFound when there is no such folder.
    """
    root = folder.resolve()
    if not root.is_dir():
        raise NotFound(
            f"{folder} is not a folder that can be read. Nothing was changed; is it mounted?"
        )
    yield from _walk(root, chosen or Selection())


def _walk(root: Path, chosen: Selection) -> Iterator[Found | Passed]:
    """Depth first, with a stack of its own: folders may be nested deeper than Python's."""
    stack = [_entries(root, "", chosen)]
    while stack:
        item = next(stack[-1], None)
        if item is None:
            stack.pop()
        elif isinstance(item, Passed):
            yield item
        elif item[0].is_dir(follow_symlinks=False):
            if chosen.enters(item[1]):
                stack.append(_entries(Path(item[0].path), f"{item[1]}/", chosen))
        elif chosen.takes(item[1]):
            yield from _file(root, *item, chosen)


def _entries(
    folder: Path, prefix: str, chosen: Selection
) -> Iterator[tuple[os.DirEntry[str], str] | Passed]:
    """What a folder holds, by name, each with its path below the root."""
    try:
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError as error:
        yield Passed(prefix or ".", f"the folder cannot be read: {error.strerror}", True)
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
        yield entry, source


def _file(
    root: Path, entry: os.DirEntry[str], source: str, chosen: Selection
) -> Iterator[Found | Passed]:
    try:
        if entry.is_symlink():
            target = Path(entry.path).resolve()
            if not target.is_relative_to(root) or target.is_dir():
                yield Passed(source, "a link that leads out of the folder or to a folder", False)
                return
        facts = entry.stat()
        if not stat.S_ISREG(facts.st_mode):
            yield Passed(source, "not an ordinary file", False)
            return
        if not is_read(source):
            # without the list of the formats: a log holds this for every such file of every sync
            yield Passed(source, unread(source), False)
            return
    except (OSError, RuntimeError) as error:
        yield Passed(source, f"it cannot be read: {error}", True)
        return
    kind = suffix_kind(source)
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
