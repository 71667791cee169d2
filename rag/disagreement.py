"""How a disagreement, what another version of a document says instead, is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def introduced(disagreement: Mapping[str, Any]) -> str:
    """What a `Disagreement`, as JSON values, is told with: “An older version, … of 2024, says”.

    Answers that were kept before there were `later` ones do not have the word.
    """
    name, dated = disagreement["title"], disagreement["dated"]
    if dated and dated not in name:
        name = f"{name} of {dated}"
    if disagreement.get("later"):
        return f"Later, {name} says"
    if disagreement["older"] is None:
        return f"Two versions differ: {name} says"
    return f"{'An older' if disagreement['older'] else 'A newer'} version, {name}, says"
