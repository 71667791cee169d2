"""Another model of the same tensors: an adapter is put on it, and the first one stays as it is."""

from __future__ import annotations

import copy
from collections import OrderedDict
from itertools import chain
from typing import Any

from rag.errors import ModelError

_MARK = "cloister_shares_tensors"


def on_same_tensors(model: Any) -> Any:
    """A model with modules and a configuration of its own on the parameters and buffers of another.

    What only the first one's engine hangs on it is left out: no step of its is recorded meanwhile.
    Raises ModelError where layers are packed into 8 bits by Cloister: peft can put nothing on them.
    """
    from rag.models.batch.ways import in_force
    from rag.models.int8 import Int8Linear

    if any(isinstance(module, Int8Linear) for module in model.modules()):
        raise ModelError(
            "An adapter cannot be put beside weights of 8 bits on a processor. Set llm.precision "
            "to auto, or let llm.adapter name it."
        )
    known: dict[int, Any] = {id(one): one for one in chain(model.parameters(), model.buffers())}
    known[id(model._forward_pre_hooks)] = OrderedDict()
    with in_force(()):
        found = copy.deepcopy(model, known)
    found.__dict__.pop("forward", None)
    setattr(found, _MARK, True)
    return found


def shares_tensors(model: Any) -> bool:
    """Whether a model, or what an adapter was put on, came from `on_same_tensors`."""
    return any(_MARK in vars(module) for module in model.modules())
