"""Tables whose cells span rows and columns: each row with what it shows in every column."""

from __future__ import annotations

from collections.abc import Sequence

_LONGEST_SPAN = 200
_MOST_COLUMNS = 1000
# of a table's text may be repeated so many characters: a small file must not become a huge one
_MOST_REPEATED = 200_000

# a cell's text, and over how many columns and rows it reaches, as the file says it
Cell = tuple[str, str | None, str | None]


def filled(rows: Sequence[Sequence[Cell]]) -> list[list[str]]:
    """The rows with a spanning cell's text in each place that it covers.

    A row is then understood by itself, and its columns stand below their headers. A cell that is
    alone in its row, such as a title over the whole table, stands there once.
    """
    grid = _Grid()
    return [grid.row(row) for row in rows]


class _Grid:
    """Remembers which cells reach down into the next rows."""

    def __init__(self) -> None:
        # by column: the text, and into how many further rows it reaches
        self._hanging: dict[int, tuple[str, int]] = {}
        self._room = _MOST_REPEATED

    def row(self, cells: Sequence[Cell]) -> list[str]:
        """The texts of a row's columns."""
        line: list[str] = []
        alone = len(cells) == 1 and not self._hanging
        for text, columns, down in cells:
            self._hang(line)
            width = 1 if alone else _span(columns)
            height = _span(down) - 1
            for position in range(max(1, min(width, _MOST_COLUMNS - len(line)))):
                if height:
                    self._hanging[len(line)] = (text, height)
                line.append(self._repeated(text) if position else text)
        self._hang(line)
        return line

    def _hang(self, line: list[str]) -> None:
        """Append the cells from above that reach into this row's next columns."""
        while len(line) in self._hanging:
            text, left = self._hanging.pop(len(line))
            if left > 1:
                self._hanging[len(line)] = (text, left - 1)
            line.append(self._repeated(text))

    def _repeated(self, text: str) -> str:
        self._room -= len(text)
        return text if self._room >= 0 else ""


def _span(value: str | None) -> int:
    return min(max(1, int(value)), _LONGEST_SPAN) if value and value.isdecimal() else 1
