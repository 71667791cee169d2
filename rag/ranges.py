"""A range of numbers, as the operator writes it: `0..0.7`, or one number that is fixed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Range:
    """The numbers from `least` to `most`, both included."""

    least: float
    most: float

    @property
    def fixed(self) -> bool:
        """Whether there is only one."""
        return self.least == self.most

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and self.least <= value <= self.most

    def within(self, other: Range) -> bool:
        """Whether all of it is in another one."""
        return other.least <= self.least and self.most <= other.most

    def nearest(self, value: float) -> float:
        """The number of the range that is nearest to `value`."""
        return min(max(value, self.least), self.most)

    def __str__(self) -> str:
        return shown(self.least) if self.fixed else f"{shown(self.least)}..{shown(self.most)}"


def read_range(value: Any) -> Range:
    """A range from a number, or from a text as `0..0.7`. Raises ValueError."""
    if isinstance(value, Range):
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(value)
    least, dots, most = str(value).partition("..")
    found = Range(_number(least), _number(most if dots else least))
    if not found.least <= found.most:
        raise ValueError(value)
    return found


def shown(value: float) -> str:
    """A number without a fraction that is nothing."""
    return str(int(value)) if float(value).is_integer() else str(value)


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return int(number) if number.is_integer() else number
