"""RMS norms in one kernel each, where a model writes them as seven."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from rag.models.batch.ways import Change, Way, changed, is_close

_EPSILON = ("variance_epsilon", "eps", "epsilon")
# sizes of what is tried: with the smallest one the epsilon is felt
_SIZES = (1e-3, 1.0, 30.0)


@torch.inference_mode()
def fused_norms(model: Any) -> Way | None:
    """The way for those norms of a model that torch's gives the same as; None without any.

    One that adds 1 to its weight or takes a gate keeps its own.
    """
    norms = [module for module in model.modules() if _is_norm(module) and _is_same(module)]
    if not norms:
        return None
    changes = [Change(norm, "forward", _fused(norm)) for norm in norms]
    return Way("norms", lambda: changed(changes))


def _is_norm(module: Any) -> bool:
    weight = getattr(module, "weight", None)
    return (
        type(module).__name__.endswith("RMSNorm")
        and not isinstance(module, torch.nn.RMSNorm)  # it is one kernel
        and "forward" not in vars(module)
        and isinstance(weight, torch.Tensor)
        and weight.dim() == 1
        and weight.is_floating_point()
        and getattr(module, "bias", None) is None
        and _epsilon(module) is not None
        and len(inspect.signature(module.forward).parameters) == 1
    )


def _epsilon(module: Any) -> float | None:
    found = [getattr(module, name, None) for name in _EPSILON]
    return next((value for value in found if isinstance(value, float)), None)


def _is_same(norm: Any) -> bool:
    weight = norm.weight
    random = torch.Generator(weight.device).manual_seed(20)
    given = torch.randn(
        (1, len(weight)), generator=random, device=weight.device, dtype=torch.float32
    )
    fused = _fused(norm)
    try:
        return all(
            is_close(fused(sized), norm(sized))
            for sized in ((given * size).to(weight.dtype) for size in _SIZES)
        )
    except Exception:  # noqa: BLE001 - whatever it raises, it keeps its own
        return False


def _fused(norm: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    own, epsilon = norm.forward, _epsilon(norm)

    def forward(hidden_states: torch.Tensor) -> torch.Tensor:
        weight = norm.weight
        if hidden_states.dtype != weight.dtype:
            found: torch.Tensor = own(hidden_states)
            return found
        return functional.rms_norm(hidden_states, weight.shape, weight, epsilon)

    return forward
