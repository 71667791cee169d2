"""Linear layers that read the same numbers as one product: queries, keys and values are one.

Their weights are put beside each other on the device, and each layer keeps its part of them, so
that nothing is held twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from rag.models.batch.ways import Change, Way, changed, is_near
from rag.models.sharing import shares_tensors

# the layers that read one tensor, in the order in which they do, and that tensor
_Group = tuple[list[nn.Linear], torch.Tensor]


def joined_products(model: Any, step: Callable[[], object]) -> Way | None:
    """The way for those linear layers that read the same in a `step`; None without any.

    Layers that are quantized, or have a weight that another one has too, keep their own. So do all
    of a model whose tensors another one has too, since that one's recorded steps name their place.
    """
    if shares_tensors(model):
        return None
    changes: list[Change] = []
    for layers, given in _groups(model, step):
        with suppress(RuntimeError):  # of a lack of memory, say: these keep their own
            joined = _Joined(layers)
            if joined.is_right(layers, given):
                changes += joined.changes(layers)
    return Way("products", lambda: changed(changes)) if changes else None


def _groups(model: Any, step: Callable[[], object]) -> list[_Group]:
    read: dict[int, _Group] = {}
    calls: Counter[nn.Module] = Counter()

    def note(layer: Any, given: tuple[Any, ...]) -> None:
        calls[layer] += 1
        if len(given) == 1 and _joins(layer, given[0]):
            read.setdefault(id(given[0]), ([], given[0]))[0].append(layer)

    with ExitStack() as hooks:
        for layer in _plain(model):
            hooks.callback(layer.register_forward_pre_hook(note).remove)
        step()
    groups = [(_alike(layers), given) for layers, given in read.values()]
    return [
        (layers, given)
        for layers, given in groups
        if len(layers) > 1 and all(calls[layer] == 1 for layer in layers)
    ]


def _plain(model: Any) -> list[nn.Linear]:
    """Linear layers as torch has them, of whose weights no other module has any."""
    owners = Counter(id(own) for one in model.modules() for own in one.parameters(recurse=False))
    return [
        one
        for one in model.modules()
        if type(one) is nn.Linear
        and "forward" not in vars(one)
        and all(owners[id(own)] == 1 for own in one.parameters())
    ]


def _joins(layer: nn.Linear, given: Any) -> bool:
    weight = layer.weight
    return (
        isinstance(given, torch.Tensor)
        and weight.is_floating_point()
        and weight.dtype == given.dtype
        and weight.is_contiguous()
        and not weight.is_inference()
        and type(weight) is nn.Parameter
    )


def _alike(layers: Sequence[nn.Linear]) -> list[nn.Linear]:
    """Those that have a bias as the first one has, or none as the first one."""
    return [layer for layer in layers if (layer.bias is None) == (layers[0].bias is None)]


class _Joined:
    """Layers whose weights lie beside each other, `[all their outputs, inputs]`.

    The first layer that is called computes for all; the last one lets go of what is left.
    """

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        self.sizes = [layer.out_features for layer in layers]
        self.weight = _beside([layer.weight for layer in layers])
        biases = [layer.bias for layer in layers if layer.bias is not None]
        self.bias = _beside(biases) if biases else None
        # what was read, and what each layer gives for it
        self.held: tuple[torch.Tensor, tuple[torch.Tensor, ...]] | None = None

    def is_right(self, layers: Sequence[nn.Linear], given: torch.Tensor) -> bool:
        """Whether the product has what the layers give, but for rounding."""
        parts = self.product(given)
        return all(is_near(part, layer(given)) for part, layer in zip(parts, layers, strict=True))

    def product(self, given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What each layer gives."""
        whole = functional.linear(given, self.weight, self.bias)
        return torch.split_with_sizes(whole, self.sizes, dim=-1)

    def changes(self, layers: Sequence[nn.Linear]) -> list[Change]:
        """What the layers' forward passes are in force."""
        last = len(layers) - 1
        own = [layer.forward for layer in layers]
        forwards = [self._first, *(self._other(n, n == last, own[n]) for n in range(1, last + 1))]
        return [
            Change(layer, "forward", forward)
            for layer, forward in zip(layers, forwards, strict=True)
        ]

    def _first(self, given: torch.Tensor) -> torch.Tensor:
        parts = self.product(given)
        self.held = given, parts
        return parts[0]

    def _other(self, number: int, last: bool, own: Callable[..., Any]) -> Callable[..., Any]:
        def forward(given: torch.Tensor) -> torch.Tensor:
            held = self.held
            if held is None or held[0] is not given:  # it is called alone, or by another thread
                found: torch.Tensor = own(given)
                return found
            if last:
                self.held = None
            return held[1][number]

        return forward


def _beside(cells: Sequence[torch.Tensor]) -> torch.Tensor:
    """One tensor of all rows, of which each parameter is then a part."""
    # a parameter cannot become part of what is made for inference alone
    with torch.inference_mode(False), torch.no_grad():
        whole = torch.cat([cell.detach() for cell in cells])
        begin = 0
        for cell in cells:
            cell.data = whole[begin : begin + len(cell)]
            begin += len(cell)
    return whole
