"""A setting's value, as a file or the environment gives it, in the type that it has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rag.errors import UsageError
from rag.ranges import Range, read_range

_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def converted(name: str, value: Any, wanted: Any, rules: Mapping[str, Any]) -> Any:
    """The value of the setting `name` (as in the file) in the type `wanted`.

    `rules` are the setting's `choices` (or what gives them), its `least`, and for a range its
    `widest`.
    Raises UsageError for a value of another kind, or that the rules do not allow.
    """
    try:
        if wanted is bool:
            return _truth(value)
        if wanted is int and not isinstance(value, bool):
            if isinstance(value, float) and not value.is_integer():
                raise ValueError(value)
            return _in_range(name, int(value), rules)
        if wanted is float and not isinstance(value, bool):
            return _in_range(name, float(value), rules)
        if wanted is Range:
            return _limited(name, read_range(value), rules)
        if wanted == tuple[str, ...]:
            items = value.split(",") if isinstance(value, str) else value
            return tuple(str(item).strip() for item in items if str(item).strip())
        if wanted is str and isinstance(value, str):
            return _chosen(name, value, rules)
        if isinstance(value, Path):
            return value
        raise ValueError(value)
    except (TypeError, ValueError, OverflowError) as error:
        kind = getattr(wanted, "__name__", str(wanted))
        kind = "number, or two as 0..0.7" if wanted is Range else kind
        message = f"The setting {name} must be of type {kind}, not {value!r}."
        raise UsageError(message) from error


def choices_in(rules: Mapping[str, Any]) -> tuple[str, ...]:
    """The values that a setting may have, where only some are; empty for any."""
    choices = rules["choices"]
    found: tuple[str, ...] = choices() if callable(choices) else choices
    return found


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() not in _TRUTHS:
        raise ValueError(value)
    return _TRUTHS[str(value).lower()]


def _chosen(name: str, value: str, rules: Mapping[str, Any]) -> str:
    choices = choices_in(rules)
    if choices and value not in choices:
        known = f"{', '.join(choices[:-1])} or {choices[-1]}"
        raise UsageError(f"The setting {name} must be {known}, not {value!r}.")
    return value


def _in_range(name: str, value: float, rules: Mapping[str, Any]) -> float:
    least, most = rules["least"], rules["most"]
    if math.isnan(value) or (least is not None and value < least):
        raise UsageError(f"The setting {name} must be at least {least}, not {value}.")
    if most is not None and value > most:
        raise UsageError(f"The setting {name} must be at most {most}, not {value}.")
    return value


def _limited(name: str, value: Range, rules: Mapping[str, Any]) -> Range:
    widest: Range = rules["widest"]
    if not value.within(widest):
        raise UsageError(f"The setting {name} must be within {widest}, not {value}.")
    return value
