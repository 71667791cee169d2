"""What a comparison's answers cost at another price of an hour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rag.models.cost import price_of_thousand


def priced(result: Mapping[str, Any], per_hour: float, currency: str) -> dict[str, Any]:
    """A comparison's JSON values with the cost of a thousand answers, one after another.

    `per_hour` is 0 where no price is known.
    """
    models = [
        {
            **model,
            "cost": price_of_thousand(model["measures"]["total"]["mean"] / 1000, per_hour),
        }
        for model in result["models"]
    ]
    return {**result, "models": models, "per_hour": per_hour or None, "currency": currency}
