"""A model's layers as `torch.compile` makes them: what is between two products in few kernels.

That needs a C compiler and Triton on the machine; where it fails for whatever reason, the model's
own layers are there. A layer is compiled once for one row and once for several, however many
columns are looked at, and serves all that are alike: what tells them apart besides their weights,
the number by which each finds its keys and values, is the same in all while it is in force.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from rag.models.batch.shelf import Shelf
from rag.models.batch.ways import Change, Way, changed, in_force, is_alike, mean_size

_NUMBER = "layer_idx"
# the root of the mean square of the error of what a layer adds, beside that of what is right; the
# sum is rounded besides
_HALF, _EXACT = 0.02, 1e-4
Forward = Callable[..., Any]


class _Cell:
    """The keys and values of one layer, in the shelf's place."""

    def __init__(
        self,
        keys: torch.Tensor,
        values: torch.Tensor,
        numbers: torch.Tensor,
        positions: torch.Tensor,
        mask: torch.Tensor,
    ) -> None:
        self.keys, self.values = keys, values
        self.numbers, self.positions = numbers, positions
        self.mask = mask

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As the shelf's own, of a step of one token a row."""
        self.keys[self.numbers, :, self.positions] = key_states[:, :, 0]
        self.values[self.numbers, :, self.positions] = value_states[:, :, 0]
        count, end = key_states.shape[0], self.mask.shape[-1]
        return self.keys[:count, :, :end], self.values[:count, :, :end]


def compiled_layers(model: Any, shelf: Shelf, step: Callable[[], object]) -> Way | None:
    """The way for a model whose layers are the same when compiled; None where they are not.

    All layers are compared within `step`, which runs the model for one token a row. What was
    compiled of other models before is compiled anew where it is needed again.
    """
    with in_force(()):
        torch.compiler.reset()  # how often it may compile one function anew is limited
    run = torch.compile(_run, fullgraph=True)
    layers = [_Layer(run, layer, shelf, number) for number, layer in enumerate(_layers(model))]
    with changed([Change(one.layer, "forward", one.compare) for one in layers]):
        step()
    if not layers or not all(one.same for one in layers):
        return None
    changes = [Change(one.layer, "forward", one.forward) for one in layers]
    return Way("compiled", lambda: changed(changes))


def end_workers() -> None:
    """End the processes that compile, which else wait for more work until this one ends."""
    if compiling := sys.modules.get("torch._inductor.async_compile"):
        compiling.shutdown_compile_workers()


class _Layer:
    """A layer and its forward pass in a step, as `run` compiles it; any other pass is its own."""

    def __init__(self, run: Forward, layer: Any, shelf: Shelf, number: int) -> None:
        self.layer = layer
        self.same = False
        self._run = run
        self._own: Forward = layer.forward
        self._shelf = shelf
        self._number = number
        owners = [module for module in layer.modules() if _NUMBER in vars(module)]
        self._numbered = [Change(owner, _NUMBER, 0) for owner in owners]

    def compare(self, hidden: torch.Tensor, *given: Any, **named: Any) -> Any:
        """Its own pass; notes whether the compiled one is the same."""
        right = self._own(hidden, *given, **named)
        found = self._compiled(hidden, given, named)
        self.same = found is not None and _is_close(found, right, hidden)
        return right

    def forward(self, hidden: torch.Tensor, *given: Any, **named: Any) -> Any:
        """The compiled pass where it is a step."""
        found = self._compiled(hidden, given, named)
        return self._own(hidden, *given, **named) if found is None else found

    def _compiled(self, hidden: torch.Tensor, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        cache = next((name for name, value in named.items() if value is self._shelf), None)
        mask = named.get("attention_mask")
        cell = self._shelf.cell(self._number)
        if (
            cache is None
            or cell is None
            or hidden.shape[1] != 1
            or mask is None
            or mask.dim() != 4
            or not mask.is_floating_point()
        ):
            return None
        # it serves any number of columns, and a shelf of another shape
        for tensor, dimensions in ((mask, (3,)), (cell[0], (0, 2)), (cell[1], (0, 2))):
            torch._dynamo.maybe_mark_dynamic(tensor, dimensions)
        rest = {name: value for name, value in named.items() if name != cache}
        with changed(self._numbered):
            return self._run(self.layer, hidden, cache, cell, mask, given, rest)


def _layers(model: Any) -> list[Any]:
    count = model.config.get_text_config(decoder=True).num_hidden_layers
    lists = (module for module in model.modules() if isinstance(module, nn.ModuleList))
    return next((list(found) for found in lists if len(found) == count), [])


def _run(
    layer: Any,
    hidden: torch.Tensor,
    cache: str,
    cell: tuple[torch.Tensor, ...],
    mask: torch.Tensor,
    given: tuple[Any, ...],
    named: dict[str, Any],
) -> Any:
    keys, values, numbers, positions = cell
    named = {**named, cache: _Cell(keys, values, numbers, positions, mask)}
    return type(layer).forward(layer, hidden, *given, **named)


def _is_close(found: Any, right: Any, given: torch.Tensor) -> bool:
    if isinstance(right, tuple):
        found, right = found[0], right[0]
    if not is_alike(found, right):
        return False
    rounding, most = torch.finfo(right.dtype).eps, _EXACT if right.dtype == torch.float32 else _HALF
    error, added = (
        mean_size(found.float() - right.float()),
        mean_size(right.float() - given.float()),
    )
    return error <= most * added + rounding * mean_size(right)
