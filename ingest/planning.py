"""Compares a folder with the catalog: what to read, and what is gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.discover import Found, Passed, telling, walk
from ingest.patterns import Selection
from rag.catalog.folders import Known


@dataclass(frozen=True, slots=True)
class Plan:
    """The folder beside the catalog: what to read, and what is gone.

    Of what vanished the sources `left_out` may well be there, and are not to be taken.
    """

    unchanged: int
    to_read: tuple[Found, ...]
    vanished: tuple[Known, ...]
    left_out: frozenset[str]
    passed: tuple[Passed, ...]


def plan(
    folder: Path,
    known: dict[str, Known],
    chosen: Selection | None = None,
    home: Path | None = None,
) -> Plan:
    """Compare the files below `folder` with what is known of them, by name and stat key.

    What is not `chosen` any more, or in the data directory `home`, is as good as vanished.
    """
    chosen = chosen or Selection()
    seen: set[str] = set()
    unchanged, to_read, passed = 0, [], []
    for found in walk(folder, chosen, home):
        if isinstance(found, Passed):
            passed.append(found)
            continue
        seen.add(found.source)
        before = known.get(found.source)
        same = before and (before.stat_key, before.kind) == (found.stat_key, found.kind)
        if same and telling(found.stat_key):
            unchanged += 1
        else:
            to_read.append(found)
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
    return Plan(unchanged, tuple(to_read), tuple(vanished), left_out, tuple(passed))


def _way_to(source: str) -> Iterator[str]:
    """A path and the folders above it, up to the synced one."""
    while source:
        yield source
        source = source.rpartition("/")[0]
    yield "."
