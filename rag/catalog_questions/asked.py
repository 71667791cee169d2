"""What a question about the library asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Wanted = Literal["list", "count", "newest", "oldest", "longest", "exists", "kinds", "purpose"]


@dataclass(frozen=True, slots=True)
class CatalogQuestion:
    """What is asked about the library.

    `topic` is what the documents must be about, as it was written, or empty; with `titled` it is
    what one is called. `kinds` are as a document's; `folder` names any folder on the way to it.
    `since` and `until` are days (ISO 8601) or empty. `many` is false where one is asked for.
    `shorter` is what a title may be without its last addition (“travel policy” of “travel policy
    for managers”), or empty. `written` is the tag (BCP 47) of the language that the documents are
    in, `sender` who sent the mails; with `dated` the days are those of the documents themselves,
    whenever they were added.

    Where it is not `sure`, “Which documents mention …?” may be about what is in the documents after
    all: it is one about the library only if something is found. A `doubtful` one (“How many mails
    are there?”) is not even without a topic. One that `opens` (“What's new?”) is none after a
    question about contents.
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
    written: str = ""
    sender: str = ""
    dated: bool = False
    sure: bool = True
    doubtful: bool = False
    opens: bool = False

    @property
    def settled(self) -> bool:
        """Whether it is answered from the catalog whatever that has."""
        return self.sure or not (self.topic or self.folder or self.doubtful)

    @property
    def narrowed(self) -> bool:
        """Whether it is about some documents only, apart from a topic."""
        held = (self.kinds, self.folder, self.collection, self.since, self.written, self.sender)
        return any(held)
