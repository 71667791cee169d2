"""How much memory the keys and values of running completions may take, and what fits into it."""

from __future__ import annotations

from collections.abc import Sequence

from rag.models.batch.steps import COLUMNS

# new memory is taken for a multiple of so many columns
_BLOCK = 4 * COLUMNS


class Room:
    """Rows times columns of a shelf within `tokens` tokens, and within `rows` rows."""

    def __init__(self, tokens: int, rows: int) -> None:
        self.tokens = tokens
        self.rows = rows

    def ever(self, columns: int) -> bool:
        """Whether a row of so many columns fits when it runs alone."""
        return columns <= self.tokens

    def shape(self, columns: Sequence[int], has: tuple[int, int], more: int) -> tuple[int, int]:
        """The rows and columns to reserve for rows that need so many columns; (0, 0): no room.

        `has` is what is reserved, which is kept where it is enough; `more` rows are expected soon.
        """
        rows, most = len(columns), max(columns)
        if rows > self.rows:
            return 0, 0
        if has[0] >= rows and has[1] >= most and has[0] * has[1] <= self.tokens:
            return has
        soon = min(self.rows, rows + more)
        wide = -(-most // _BLOCK) * _BLOCK
        for shape in ((soon, max(wide, has[1])), (soon, wide), (rows, wide), (rows, most)):
            if shape[0] * shape[1] <= self.tokens:
                return shape
        return 0, 0
