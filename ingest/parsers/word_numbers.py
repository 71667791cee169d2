"""The numbers that Word shows before headings and list items, such as `2.1` or `c)`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_PLACE = re.compile(r"%([1-9])")
_LEVELS = 9
_LARGEST = 100_000
_LETTERS = 26
_ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l")),
    *((40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)


class Numbers:
    """Counts a document's numbered paragraphs; `root` is its `w:numbering`, or None."""

    def __init__(self, root: Any) -> None:
        self._abstract: dict[str, str] = {}
        self._levels: dict[str, dict[int, Any]] = {}
        self._restarts: dict[tuple[str, int], int] = {}
        self._counts: dict[str, list[int | None]] = {}
        if root is None:
            return
        for found in root.iterfind(f"{_W}abstractNum"):
            levels = {
                _int(level.get(f"{_W}ilvl"), 0): level for level in found.iterfind(f"{_W}lvl")
            }
            self._levels[found.get(f"{_W}abstractNumId", "")] = levels
        for found in root.iterfind(f"{_W}num"):
            key = found.get(f"{_W}numId", "")
            self._abstract[key] = _value(found, "abstractNumId")
            for change in found.iterfind(f"{_W}lvlOverride"):
                start = _value(change, "startOverride")
                if start.isdecimal():
                    self._restarts[key, _int(change.get(f"{_W}ilvl"), 0)] = int(start)

    def label(self, properties: list[Any], style: str) -> str:
        """What stands before a paragraph, and counts it; empty for bullets and for none.

        `properties` are the paragraph's own and those of its styles, nearest first; `style` is
        the id of its style.
        """
        key, level = self._place(properties, style)
        levels = self._levels.get(self._abstract.get(key, ""), {})
        if level not in levels:
            return ""
        counts = self._count(key, level, levels)
        text = _value(levels[level], "lvlText")
        if _value(levels[level], "numFmt") in ("bullet", "none"):
            return ""
        return _PLACE.sub(lambda found: _written(levels, counts, int(found.group(1)) - 1), text)

    def _place(self, properties: list[Any], style: str) -> tuple[str, int]:
        """The numbering and the level of a paragraph; an empty key for none."""
        for found in properties:
            numbers = found.find(f"{_W}numPr") if found is not None else None
            if numbers is None:
                continue
            key, level = _value(numbers, "numId"), _value(numbers, "ilvl")
            if key and level:
                return key, min(_int(level, 0), _LEVELS - 1)
            levels = self._levels.get(self._abstract.get(key, ""), {})
            own = (n for n, one in levels.items() if _value(one, "pStyle") == style)
            return key, next(own, 0)
        return "", 0

    def _count(self, key: str, level: int, levels: dict[int, Any]) -> list[int | None]:
        abstract = self._abstract[key]
        counts = self._counts.setdefault(abstract, [None] * _LEVELS)
        restart = self._restarts.pop((key, level), None)
        before = counts[level]
        if restart is not None:
            counts[level] = restart
        elif before is None:
            counts[level] = _int(_value(levels[level], "start"), 1)
        else:
            counts[level] = min(before + 1, _LARGEST)
        for above in range(level):
            if counts[above] is None and above in levels:
                counts[above] = _int(_value(levels[above], "start"), 1)
        counts[level + 1 :] = [None] * (_LEVELS - level - 1)
        return counts


def _written(levels: dict[int, Any], counts: list[int | None], level: int) -> str:
    number = counts[level] if level < _LEVELS else None
    if number is None or level not in levels:
        return ""
    match _value(levels[level], "numFmt"):
        case "lowerLetter":
            return _letters(number)
        case "upperLetter":
            return _letters(number).upper()
        case "lowerRoman":
            return "".join(_roman(number))
        case "upperRoman":
            return "".join(_roman(number)).upper()
        case "decimalZero":
            return f"{number:02}"
        case "bullet" | "none":
            return ""
    return str(number)


def _letters(number: int) -> str:
    """`a` to `z`, then `aa`, `bb` and so on, as Word does."""
    if not 0 < number < _LETTERS * 20:
        return str(number)
    return chr(ord("a") + (number - 1) % _LETTERS) * ((number - 1) // _LETTERS + 1)


def _roman(number: int) -> Iterator[str]:
    if not 0 < number < 4000:
        yield str(number)
        return
    for value, letters in _ROMAN:
        yield letters * (number // value)
        number %= value


def _value(element: Any, name: str) -> str:
    found = element.find(f"{_W}{name}")
    return str(found.get(f"{_W}val", "")) if found is not None else ""


def _int(value: str | None, usual: int) -> int:
    return min(int(value), _LARGEST) if value and value.isdecimal() else usual
