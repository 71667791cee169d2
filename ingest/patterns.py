"""Patterns that say which files of a folder are synced: `*.pdf`, `drafts/**`, `/top.txt`, `old/`.

The rules are those of .gitignore, with three differences: capitals and small letters are the same,
as they are in suffixes, so are the two ways of writing an accented letter, of which a Mac has the
other one, and there is no `!`, since there are patterns of both kinds.

- `*` and `?` stand for any characters and any one, `[a-z]` and `[!a-z]` for one of a kind, none of
  them for a slash; `**` between slashes stands for any number of folders.
- A pattern with a slash before its end begins at the top of the synced folder, any other is the
  name of a file or folder at any depth. One that ends in a slash is of folders only.
- What matches a folder matches all that is in it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from rag.errors import UsageError

# how names of files begin that are hidden, and of those that Office keeps beside an open document
HIDDEN = (".", "~$")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which files are taken; hidden ones only where `hidden` says so. Made by `selection`.

    Files of the kinds `unread` cannot be read as things are.
    """

    include: re.Pattern[str] | None = None
    exclude: re.Pattern[str] | None = None
    hidden: bool = False
    unread: frozenset[str] = frozenset()

    def takes(self, source: str) -> bool:
        """Whether a file is taken, by its path below the folder."""
        spelt = _spelt(source)
        if self.include and not self.include.fullmatch(spelt):
            return False
        return not (self.exclude and self.exclude.fullmatch(spelt))

    def reaches(self, source: str) -> bool:
        """Whether a file is taken, and neither it nor a folder on the way to it hidden."""
        shown = self.hidden or not any(part.startswith(HIDDEN) for part in source.split("/"))
        return shown and self.takes(source)

    def enters(self, folder: str) -> bool:
        """Whether a folder may hold files that are taken: all but those that are excluded."""
        return not (self.exclude and self.exclude.fullmatch(f"{_spelt(folder)}/"))


def selection(
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    hidden: bool = False,
    unread: frozenset[str] = frozenset(),
) -> Selection:
    """The selection by these patterns; no `include` takes everything. Raises UsageError."""
    return Selection(_compiled(include), _compiled(exclude), hidden, unread)


def _compiled(patterns: Iterable[str]) -> re.Pattern[str] | None:
    translated = [_translated(pattern) for pattern in patterns]
    if not translated:
        return None
    return re.compile("|".join(translated), re.IGNORECASE | re.DOTALL)


def _translated(pattern: str) -> str:
    """A regular expression for the paths that a pattern matches, of files and, with a slash at
    their end, of folders."""
    if pattern.startswith("!"):
        raise UsageError(f"The pattern “{pattern}” begins with “!”. Use --exclude or --include.")
    path = _spelt(pattern).rstrip("/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        raise UsageError(f"“{pattern}” is no pattern of paths below the folder.")
    anywhere = "/" not in path
    begin = "(?:.*/)?" if anywhere else ""
    # what is in a folder that matches is matched too
    end = "/.*" if pattern.endswith("/") else "(?:/.*)?"
    return f"(?:{begin}{_joined(parts)}{end})"


def _spelt(path: str) -> str:
    """A path with each accented letter as one character, however it was written."""
    return unicodedata.normalize("NFC", path)


def _joined(parts: list[str]) -> str:
    """The parts of a path; `**` is any number of folders, at the end anything below."""
    written = ""
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part == "**":
            written += ".+" if last else "(?:.*/)?"
        else:
            written += _part(part) + ("" if last else "/")
    return written


def _part(part: str) -> str:
    written, at = "", 0
    while at < len(part):
        char = part[at]
        at += 1
        if char == "*":
            written += "[^/]*"
        elif char == "?":
            written += "[^/]"
        elif char == "\\" and at < len(part):
            written += re.escape(part[at])
            at += 1
        elif char == "[" and (end := part.find("]", at + 1 + (part[at : at + 1] in "!^"))) > 0:
            written += _kind(part[at:end])
            at = end + 1
        else:
            written += re.escape(char)
    return written


def _kind(inside: str) -> str:
    """A set of characters, such as `a-z` or `!0-9`."""
    negated = inside[0] in "!^"
    kept = (inside[1:] if negated else inside).replace("\\", r"\\").replace("[", r"\[")
    kept = kept.replace("&", r"\&").replace("~", r"\~").replace("|", r"\|").replace("]", r"\]")
    written = f"[{'^/' if negated else ''}{kept}]"
    try:
        re.compile(written)
    except re.error as error:
        raise UsageError(f"“[{inside}]” is no set of characters: {error}.") from error
    return f"(?!/){written}"
