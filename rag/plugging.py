"""What a setting names in a Python package: the plug point of embedders and LLMs."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from rag.errors import UsageError


def resolve(dotted: str, setting: str) -> Callable[..., Any]:
    """What `package.module:name`, the value of a setting, names. Raises UsageError."""
    module, _, name = dotted.partition(":")
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"“{dotted}” cannot be imported: {error}. {advice(setting)}") from error
    return found


def advice(setting: str) -> str:
    """What to do where a setting names something that is no model."""
    return f"Correct {setting}: a model folder, or package.module:Class."
