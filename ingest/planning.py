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
    seen: set[str] = set()
    unchanged, to_read, passed = 0, [], []
    for found in walk(folder, chosen, home):
        if isinstance(found, Passed):
            passed.append(found)
            continue
        seen.add(found.source)
        before = known.get(found.source)
        same = before and (before.stat_key, before.kind) == (found.stat_key, found.kind)
        stale = before and before.error_code == STALE_CODE
        if same and telling(found.stat_key) and not stale:
            unchanged += 1
        else:
            to_read.append(found)
    now = mounts_below(folder)  # after the walk, which may have met one that went away meanwhile
    unmounted = _unmounted(known, mounts - now, chosen) if now is not None else frozenset()
    if unmounted:
        to_read = [found for found in to_read if unmounted.isdisjoint(_way_to(found.source))]
        passed = [item for item in passed if unmounted.isdisjoint(_way_to(item.source))]
        passed += [Passed(place, _UNMOUNTED, True) for place in sorted(_topmost(unmounted))]
    # what could not be looked at is not gone
    unseen = {p.source.rstrip("/") for p in passed if p.failed or not p.readable_now}
    vanished = [
        file
        for source, file in known.items()
        if source not in seen and unseen.isdisjoint(_way_to(source))
    ]
    by = {p.source for p in passed}
    left_out = frozenset(
        file.source
        for file in vanished
        if not chosen.reaches(file.source) or not by.isdisjoint(_way_to(file.source))
    )
    unreadable = tuple(
        (known[item.source], item.reason)
        for item in passed
        if item.failed and item.source in known and item.source not in seen
    )
    away = frozenset(source for source in known if not unmounted.isdisjoint(_way_to(source)))
    remembered = now if now is None else now | unmounted
    return Plan(
        unchanged,
        tuple(to_read),
        tuple(vanished),
        left_out,
        tuple(passed),
        unreadable,
        away,
        remembered,
    )


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
        if places.isdisjoint(_way_to(place.rpartition("/")[0])):
            yield place


def _way_to(source: str) -> Iterator[str]:
    """A path and the folders above it, up to the synced one."""
    while source:
        yield source
        source = source.rpartition("/")[0]
    yield "."
