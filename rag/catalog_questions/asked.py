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
    `shorter` is what a title may be without its last addition (“travel policy” of “travel policy
    for managers”), or empty. Where it is not `sure`, “Which documents mention …?” may be about what
    is in the documents after all: it is one about the library only if something is found.
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
    shorter: str = ""
    sure: bool = True

    @property
    def settled(self) -> bool:
        """Whether it is answered from the catalog whatever that has."""
        return self.sure or not (self.topic or self.folder)

    @property
    def narrowed(self) -> bool:
        """Whether it is about some documents only, apart from a topic."""
        return bool(self.kinds or self.folder or self.collection or self.since)
