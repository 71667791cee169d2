"""Changes settings in `cloister.toml` and leaves all else in it, comments too, as it stands."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rag.checkpoints import write_text
from rag.errors import StorageError, UsageError

FILE = "cloister.toml"
_HEADER = re.compile(r"[ \t]*\[(?P<array>\[?)(?P<name>[^\]\n]*)\]")


def changed(text: str, values: Mapping[str, str]) -> str:
    """The file's text with settings changed, by their names (`llm.model`); "" takes one out.

    The result is read again: it must say what the text before said, but for these settings. Raises
    UsageError where the file is written in a way in which that cannot be done line by line.
    """
    wanted = _read(text)
    for name, value in values.items():
        section, _, key = name.partition(".")
        text = _with(text, section, key, value)
        wanted = _wanted(wanted, section, key, value)
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        found = {}
    if _filled(found) != _filled(wanted):
        raise UsageError(
            f"{FILE} is written in a way that is not changed by machine. Change it by hand: "
            + ", ".join(f"{name} = {_quoted(value)}" for name, value in values.items())
        )
    return text


def change_settings(home: Path, values: Mapping[str, str]) -> None:
    """Write settings into the data directory's `cloister.toml`, whole or not at all.

    Raises UsageError as `changed` does, StorageError.
    """
    path = home / FILE
    text = read_settings_text(home)
    new = changed(text, values)
    if new != text:
        write_text(path.resolve(), new)  # a link stays one


def read_settings_text(home: Path) -> str:
    """What is in `cloister.toml`; empty where there is none. Raises StorageError, UsageError."""
    try:
        with (home / FILE).open(encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise StorageError(f"{FILE} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{FILE} cannot be read: {error}. Mend that line.") from error


def _with(text: str, section: str, key: str, value: str) -> str:
    """The text with one setting changed, as far as lines alone tell where it stands."""
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    entry = f"{key} = {_quoted(value)}"
    start = _section_at(lines, section)
    for number, line in enumerate(lines):
        inside = start is not None and start < number < _end_of(lines, start)
        names = _spellings(key) if inside else _spellings(section, key)
        if not inside and number >= _first_header(lines):
            continue
        if found := re.match(rf"[ \t]*(?:{names})[ \t]*=[ \t]*", line):
            if not value:
                return "".join(lines[:number] + lines[number + 1 :])
            rest = _after_value(line[found.end() :])
            lines[number] = line[: found.end()] + _quoted(value) + rest
            return "".join(lines)
    if not value:
        return text
    if start is not None:
        at = start + 1
        lines[start] = lines[start].rstrip("\r\n") + end
        return "".join([*lines[:at], entry + end, *lines[at:]])
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += end
    gap = [end] if lines and lines[-1].strip() else []
    return "".join([*lines, *gap, f"[{section}]{end}", entry + end])


def _after_value(rest: str) -> str:
    """What stands behind a value that is one string on its line: a comment, the line's end."""
    value = re.match(r"\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|[^#\s]*", rest)
    return rest[value.end() :] if value else rest


def _spellings(*keys: str) -> str:
    """A pattern for a key, or keys with dots between, bare or in quotes."""
    each = ("|".join((re.escape(k), f'"{re.escape(k)}"', f"'{re.escape(k)}'")) for k in keys)
    return r"[ \t]*\.[ \t]*".join(f"(?:{names})" for names in each)


def _section_at(lines: list[str], section: str) -> int | None:
    for number, line in enumerate(lines):
        header = _HEADER.match(line)
        if header and not header["array"] and header["name"].strip().strip("\"'") == section:
            return number
    return None


def _end_of(lines: list[str], start: int) -> int:
    for number in range(start + 1, len(lines)):
        if _HEADER.match(lines[number]):
            return number
    return len(lines)


def _first_header(lines: list[str]) -> int:
    return next((n for n, line in enumerate(lines) if _HEADER.match(line)), len(lines))


def _wanted(tables: dict[str, Any], section: str, key: str, value: str) -> dict[str, Any]:
    table = dict(tables.get(section) or {})
    table.pop(key, None)
    return tables | {section: table | ({key: value} if value else {})}


def _filled(tables: dict[str, Any]) -> dict[str, Any]:
    """Without the tables that are empty, which are as good as none."""
    return {name: inside for name, inside in tables.items() if inside != {}}


def _read(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{FILE} cannot be read: {error}. Mend that line.") from error


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
