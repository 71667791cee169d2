"""What a setting names in a Python package: the plug point of embedders and LLMs."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from rag.errors import UsageError


def resolve(dotted: str) -> Callable[..., Any]:
    """What `package.module:name` names. Raises UsageError when there is no such thing."""
    module, _, name = dotted.partition(":")
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"“{dotted}” cannot be imported: {error}.") from error
    return found
