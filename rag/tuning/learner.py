"""What a training asks of the model that learns, be it an adapter or an embedder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

# what torch says of short memory where it has no kind of error for it
_SHORT = ("not enough memory", "can't allocate memory", "out of memory", "ALLOC_FAILED")


class Learner(Protocol):
    """A model with weights that learn; `most_tokens` bounds what is computed at once."""

    most_tokens: int
    model: Any

    @property
    def parameters(self) -> list[Any]:
        """The weights that learn."""
        ...

    def pieces(self, rows: Sequence[Any]) -> list[Any]:
        """The rows in pieces that find room in memory; `tokens` of each is what its loss sums."""
        ...

    def loss(self, piece: Any) -> Any:
        """The summed loss of a piece, as a scalar tensor."""
        ...

    def halve(self, rows: Sequence[Any]) -> bool:
        """Compute less at once from now on; False where that is not possible for these rows."""
        ...

    def state(self) -> dict[str, Any]:
        """A copy of the weights that learn, on the CPU."""
        ...

    def load(self, state: dict[str, Any]) -> None:
        """Take up such a copy."""
        ...


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of a computation tells that memory was short."""
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _SHORT)
