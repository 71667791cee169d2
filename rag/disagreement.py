"""A disagreement: what another version of a document says instead, and how that is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Disagreement:
    """What another version says where the citation's document says something else.

    `older` tells whether the other one is the older version or else the newer one; None where
    nothing tells. `dated` is the day, month or year (ISO 8601) in its name, else its file's day.
    """

    citation: int
    document_id: str
    title: str
    source: str
    page: int
    start: int
    end: int
    quote: str
    older: bool | None
    dated: str = ""


def introduced(disagreement: Mapping[str, Any]) -> str:
    """What a `Disagreement`, as JSON values, is told with: “An older version, … of 2024, says”."""
    name, dated = disagreement["title"], disagreement["dated"]
    if dated and dated not in name:
        name = f"{name} of {dated}"
    if disagreement["older"] is None:
        return f"Two versions differ: {name} says"
    return f"{'An older' if disagreement['older'] else 'A newer'} version, {name}, says"
