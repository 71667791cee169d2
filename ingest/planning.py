"""Compares a folder with the catalog: what to read, and what is gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.discover import Found, Passed, telling, walk
from ingest.mounts import mounts_below
from ingest.patterns import Selection
from rag.catalog.folders import Known
from rag.catalog.stale import STALE_CODE

_UNMOUNTED = (
    "it was mounted at the last sync and is not now, so its documents stay; mount it, or sync with "
    "--confirm-deletions to take them out of the library"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """The folder beside the catalog: what to read, and what is gone.

    Of what vanished the sources `left_out` may well be there, and are not to be taken. With a
    known file that is `unreadable` goes the reason. Those that are `away` lie where something was
    mounted and is not now; `mounts` are to be remembered, None where the system does not tell.
    """

    unchanged: int
    to_read: tuple[Found, ...]
    vanished: tuple[Known, ...]
    left_out: frozenset[str]
    passed: tuple[Passed, ...]
    unreadable: tuple[tuple[Known, str], ...] = ()
    away: frozenset[str] = frozenset()
    mounts: frozenset[str] | None = None


def plan(
    folder: Path,
    known: dict[str, Known],
    chosen: Selection | None = None,
    home: Path | None = None,
    mounts: frozenset[str] = frozenset(),
) -> Plan:
    """Compare the files below `folder` with what is known of them, by name and stat key.

    What is not `chosen` any more, or in the data directory `home`, is as good as vanished. Where
    one of the `mounts` of last time is not mounted now, nothing is looked at.
    """
    chosen = chosen or Selection()
    mounts |= mounts_below(folder) or frozenset()
    walked = _Walked(set(), [], [])
    for found in walk(folder, chosen, home):
        walked.meet(found, known)
    now = mounts_below(folder)  # after the walk, which may have met one that went away meanwhile
    unmounted = _unmounted(known, mounts - now, chosen) if now is not None else frozenset()
    if unmounted:
        walked.leave(unmounted)
    vanished = walked.missed(known)
    return Plan(
        walked.unchanged,
        tuple(walked.to_read),
        tuple(vanished),
        frozenset(walked.left_out(vanished, chosen)),
        tuple(walked.passed),
        tuple(walked.unreadable(known)),
        frozenset(source for source in known if unmounted and _is_below(source, unmounted)),
        now if now is None else now | unmounted,
    )


@dataclass(slots=True)
class _Walked:
    """What a walk through a folder met, by what is known of it."""

    seen: set[str]
    to_read: list[Found]
    passed: list[Passed]
    unchanged: int = 0

    def meet(self, found: Found | Passed, known: dict[str, Known]) -> None:
        """Tell one that is as it was from one that is to be read, or that is passed by."""
        if isinstance(found, Passed):
            self.passed.append(found)
            return
        self.seen.add(found.source)
        before = known.get(found.source)
        same = before and (before.stat_key, before.kind) == (found.stat_key, found.kind)
        stale = before and before.error_code == STALE_CODE
        if same and telling(found.stat_key) and not stale:
            self.unchanged += 1
        else:
            self.to_read.append(found)

    def leave(self, unmounted: frozenset[str]) -> None:
        """Pass by what lies where something was mounted: it is not what was there."""
        self.to_read = [file for file in self.to_read if not _is_below(file.source, unmounted)]
        self.passed = [item for item in self.passed if not _is_below(item.source, unmounted)]
        self.passed += [Passed(place, _UNMOUNTED, True) for place in sorted(_topmost(unmounted))]

    def missed(self, known: dict[str, Known]) -> list[Known]:
        """What is gone: not what could not be looked at."""
        unseen = {p.source.rstrip("/") for p in self.passed if p.failed or not p.readable_now}
        return [
            file
            for source, file in known.items()
            if source not in self.seen and not _is_below(source, unseen)
        ]

    def left_out(self, vanished: list[Known], chosen: Selection) -> Iterator[str]:
        """Of what is gone that which was passed by, or is not to be met."""
        passed = {item.source for item in self.passed}
        for file in vanished:
            if not chosen.reaches(file.source) or _is_below(file.source, passed):
                yield file.source

    def unreadable(self, known: dict[str, Known]) -> Iterator[tuple[Known, str]]:
        """The known files that were passed by and should not have been, with the reasons."""
        for item in self.passed:
            if item.failed and item.source in known and item.source not in self.seen:
                yield known[item.source], item.reason


def _unmounted(
    known: dict[str, Known], places: frozenset[str], chosen: Selection
) -> frozenset[str]:
    """Those of these places below which files are known that are chosen still."""
    if not places:
        return places
    return frozenset(
        place
        for source in known
        if chosen.reaches(source)
        for place in places.intersection(_way_to(source))
    )


def _topmost(places: frozenset[str]) -> Iterator[str]:
    """Those that do not lie below another one."""
    for place in places:
        if not _is_below(place.rpartition("/")[0], places):
            yield place


def _is_below(source: str, places: set[str] | frozenset[str]) -> bool:
    """Whether a path is one of these places, or lies below one."""
    return not places.isdisjoint(_way_to(source))


def _way_to(source: str) -> Iterator[str]:
    """A path and the folders above it, up to the synced one.

    Walked up, since there may be many places and many paths.
    """
    while source:
        yield source
        source = source.rpartition("/")[0]
    yield "."
