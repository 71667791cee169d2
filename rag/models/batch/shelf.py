"""Keys and values of the running completions: a row for each, beginning at its first column.

No row is padded and none is copied when another one joins or leaves: each writes its next key
and value at its own length. What a row does not reach is masked; see `steps.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers.cache_utils import Cache, CacheLayerMixin

# for each layer the keys and values of a text's beginning, `[heads, length, dimensions]` each
Head = list[tuple[torch.Tensor, torch.Tensor] | None]
Cell = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


class Layer(CacheLayerMixin):  # type: ignore[misc]
    """The keys and values of one layer, `[rows, heads, columns, dimensions]` each."""

    def __init__(self, aim: _Aim) -> None:
        super().__init__()
        self._aim = aim

    def lazy_initialization(self, key_states: Any, value_states: Any) -> None:
        """Take memory for the rows and columns that are asked for; zeros, since 0 · NaN is NaN."""
        self.keys = self._resized(key_states, None)
        self.values = self._resized(value_states, None)
        self.is_initialized = True

    def resize(self) -> None:
        """Take the rows and columns that are asked for, and keep what fits of those that are."""
        if self.is_initialized:
            self.keys = self._resized(self.keys, self.keys)
            self.values = self._resized(self.values, self.values)

    def _resized(self, like: torch.Tensor, old: torch.Tensor | None) -> torch.Tensor:
        rows, columns = self._aim.rows, self._aim.columns
        if old is not None and old.shape[0] == rows and old.shape[2] == columns:
            return old
        new = like.new_zeros((rows, like.shape[1], columns, like.shape[3]))
        if old is not None:
            kept = min(rows, old.shape[0]), min(columns, old.shape[2])
            new[: kept[0], :, : kept[1]] = old[: kept[0], :, : kept[1]]
        return new

    def update(
        self, key_states: Any, value_states: Any, *args: Any, **kwargs: Any
    ) -> tuple[Any, Any]:
        """Write what a step computed; returns all that the step may look at."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        aim = self._aim
        if aim.positions is not None:
            self.keys[aim.numbers, :, aim.positions] = key_states[:, :, 0]
            self.values[aim.numbers, :, aim.positions] = value_states[:, :, 0]
            count, end = key_states.shape[0], aim.end
            return self.keys[:count, :, :end], self.values[:count, :, :end]
        row, begin = aim.row, aim.begin
        end = begin + key_states.shape[2]
        self.keys[row : row + 1, :, begin:end] = key_states
        self.values[row : row + 1, :, begin:end] = value_states
        return self.keys[row : row + 1, :, :end], self.values[row : row + 1, :, :end]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """How many columns a step of so many tokens looks at, and the first of them."""
        aim = self._aim
        return (aim.begin + query_length if aim.positions is None else aim.end), 0

    def get_seq_length(self) -> int:
        """How many columns are before those of the step."""
        aim = self._aim
        return aim.begin if aim.positions is None else aim.end - 1

    def get_max_length(self) -> int:
        """It grows."""
        return -1


class _Aim:
    """What the next step reads and writes: one row from a column on, or a column of each row."""

    def __init__(self) -> None:
        self.rows = self.columns = 0
        self.row = self.begin = self.end = 0
        self.positions: torch.Tensor | None = None
        self.numbers: torch.Tensor | None = None
        # they stay, since recorded steps read them
        self.of_rows: dict[int, torch.Tensor] = {}


class Shelf(Cache):  # type: ignore[misc]
    """The cache that a model is given; which rows a step means is told before it."""

    def __init__(self, layers: int) -> None:
        self._aim = _Aim()
        super().__init__(layers=[Layer(self._aim) for _ in range(layers)])

    @property
    def rows(self) -> int:
        """The rows that there is memory for."""
        return self._aim.rows

    @property
    def columns(self) -> int:
        """The columns that each row has."""
        return self._aim.columns

    @property
    def token_bytes(self) -> int:
        """The bytes that a token of a row takes, once each layer was used."""
        return sum(cell.shape[1] * cell.shape[3] * cell.element_size() for cell in self._cells())

    @property
    def memory(self) -> tuple[tuple[int, ...], ...]:
        """Where all of it lies and in which shapes; another value: some was taken anew.

        What was given back may be taken again at the same place in another shape.
        """
        return tuple((cell.data_ptr(), *cell.shape) for cell in self._cells())

    @property
    def bytes(self) -> int:
        """The bytes that are taken now."""
        return sum(cell.numel() * cell.element_size() for cell in self._cells())

    def reserve(self, rows: int, columns: int) -> None:
        """Have memory for so many rows and columns; what fits of those in use stays.

        One layer is copied after the other, so that little more is needed meanwhile. After an
        error there is what all layers have.
        """
        self._aim.rows, self._aim.columns = rows, columns
        try:
            for layer in self.layers:
                layer.resize()
        except Exception:
            self._aim.rows = min(cell.shape[0] for cell in self._cells())
            self._aim.columns = min(cell.shape[2] for cell in self._cells())
            raise

    def clear(self) -> None:
        """Give all memory back."""
        self._aim.rows = self._aim.columns = 0
        for layer in self.layers:
            layer.keys = layer.values = None
            layer.is_initialized = False

    def at_row(self, row: int, begin: int) -> None:
        """The next step writes to one row, from a column on."""
        self._aim.row, self._aim.begin, self._aim.positions = row, begin, None

    def at_rows(self, positions: torch.Tensor, end: int) -> None:
        """The next step writes a column of each row, `positions`, and looks at the first `end`."""
        self._aim.positions, self._aim.end = positions, end
        count = positions.shape[0]
        if count not in self._aim.of_rows:
            self._aim.of_rows[count] = torch.arange(count, device=positions.device)
        self._aim.numbers = self._aim.of_rows[count]

    def cell(self, layer: int) -> Cell | None:
        """A layer's keys and values, and each row's number and position; None for a prompt."""
        aim, cells = self._aim, self.layers[layer]
        if aim.positions is None or aim.numbers is None:
            return None
        return cells.keys, cells.values, aim.numbers, aim.positions

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first columns of one row to another."""

        def copy(cell: torch.Tensor) -> None:
            cell[target, :, :length] = cell[source, :, :length]

        self._each(copy)

    def wipe(self, row: int) -> None:
        """Set a row to zeros."""

        def zero(cell: torch.Tensor) -> None:
            cell[row] = 0

        self._each(zero)

    def head(self, row: int, length: int) -> Head:
        """A copy of a row's first columns."""
        return [
            (layer.keys[row, :, :length].clone(), layer.values[row, :, :length].clone())
            if layer.is_initialized
            else None
            for layer in self.layers
        ]

    def put_head(self, row: int, head: Head, length: int) -> None:
        """Write the first `length` columns of a head to a row."""
        for layer, cells in zip(self.layers, head, strict=True):
            if cells is None:
                continue
            keys, values = cells
            if not layer.is_initialized:
                layer.lazy_initialization(keys[None], values[None])
            layer.keys[row, :, :length] = keys[:, :length]
            layer.values[row, :, :length] = values[:, :length]

    def _cells(self) -> list[torch.Tensor]:
        return [
            cell
            for layer in self.layers
            if layer.is_initialized
            for cell in (layer.keys, layer.values)
        ]

    def _each(self, work: Callable[[torch.Tensor], None]) -> None:
        for cell in self._cells():
            work(cell)
