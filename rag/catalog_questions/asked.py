"""What a question about the library asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Wanted = Literal["list", "count", "newest", "oldest", "exists"]


@dataclass(frozen=True, slots=True)
class CatalogQuestion:
    """What is asked about the library.

    `topic` is what the documents must be about, as it was written, or empty; with `titled` it is
    what one is called. `kinds` are as a document's; `folder` names any folder on the way to it.
    `since` and `until` are days (ISO 8601) or empty. `many` is false where one is asked for.
    """

    wanted: Wanted
    language: str
    topic: str = ""
    titled: bool = False
    kinds: tuple[str, ...] = ()
    folder: str = ""
    collection: str = ""
    since: str = ""
    until: str = ""
    many: bool = True

    @property
    def narrowed(self) -> bool:
        """Whether it is about some documents only, apart from a topic."""
        return bool(self.kinds or self.folder or self.collection or self.since)
