"""What a check found, and how it says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_NAMED = 20


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault: `what` is wrong how often, with which documents, what `repair` does."""

    kind: str
    count: int
    what: str
    repair: str
    documents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Findings:
    """A whole check: what was looked at, and the faults, none where all is sound."""

    documents: int
    chunks: int
    originals: int
    faults: tuple[Fault, ...]
    notes: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether no fault was found."""
        return not self.faults


def fault(kind: str, count: int, documents: Sequence[str] = ()) -> Fault:
    """A fault of a known kind, in plain words."""
    what, repair = _WORDS[kind]
    return Fault(kind, count, what, repair, tuple(documents))


def described(item: Fault) -> str:
    """A fault as lines for a person."""
    lines = [f"{item.count} × {item.what}"]
    named = item.documents[:_NAMED]
    more = len(item.documents) - len(named)
    if named:
        lines.append("    in " + ", ".join(named) + (f" and {more} more" if more else ""))
    lines.append(f"    --repair: {item.repair}")
    return "\n".join(lines)


_WORDS = {
    "catalog": (
        "damage of the catalog's file itself",
        "cannot mend it; restore the data directory from a backup",
    ),
    "content": (
        "document whose pages, chunks or vectors in the catalog are not as they were written",
        "takes the text from its pages and the vectors from the index where a checksum proves "
        "them right, else reads the document again from its original",
    ),
    "unanswered": (
        "document that is said to be searchable and is not",
        "reads it again from its original",
    ),
    "vectors-unreadable": (
        "vector index that cannot be opened",
        "builds it anew from the catalog; nothing is embedded again",
    ),
    "vectors-missing": (
        "chunk that is not found by its own vector",
        "puts its vector back from the catalog; nothing is embedded again",
    ),
    "vectors-strange": (
        "vector in the index that belongs to no chunk of the catalog",
        "deletes it",
    ),
    "words-unreadable": (
        "lexical index that cannot be opened",
        "builds it anew from the catalog",
    ),
    "words-missing": (
        "chunk that is not found by its own words",
        "puts its words back from the catalog",
    ),
    "words-strange": (
        "entry of the lexical index that belongs to no chunk of the catalog",
        "deletes it",
    ),
    "originals-missing": (
        "stored file that is gone",
        "takes it from the synced folder where it still lies there unchanged; else it cannot be "
        "restored, and the document is marked: add the file again",
    ),
    "originals-altered": (
        "stored file whose SHA-256 is not the one it was stored under",
        "takes it from the synced folder where it still lies there unchanged; else it cannot be "
        "restored, and the document is marked: add the file again",
    ),
    "originals-unknown": (
        "stored file that the catalog never had, as one that came after the backup from which the "
        "catalog was put back",
        "leaves it, since it may be the only copy (put the newer catalog.sqlite back, or add the "
        "file again); with --unknown it is deleted",
    ),
    "left-over": (
        "left-over file or folder in the data directory that nothing needs",
        "deletes it",
    ),
}
