"""What an answer about the library itself says, before it is cited."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from rag.catalog.holdings import Held
from rag.inventory_wording import line_of

# so many documents are listed, and of newest, oldest or longest ones
MOST_LISTED = 10
FEW = 5


@dataclass(frozen=True, slots=True)
class Listed:
    """A document of the answer, with the chunk that is cited of it (empty: its first)."""

    held: Held
    chunk_id: str = ""


@dataclass(slots=True)
class Reply:
    """What the answer says: lines in order, each with the documents that it is cited to.

    It is `empty` where the catalog has nothing of what was asked for.
    """

    short: str | None = None
    lines: list[tuple[str, tuple[Listed, ...]]] = field(default_factory=list)
    words: tuple[str, ...] = ()
    empty: bool = False

    def say(self, text: str, *listed: Listed) -> None:
        """Add a line."""
        self.lines.append((text, listed))

    def say_each(self, listed: Iterable[Listed], dated: bool = False) -> None:
        """Add a line for each document; `dated` says of when it is."""
        for one in listed:
            self.say(line_of(one.held, dated), one)
