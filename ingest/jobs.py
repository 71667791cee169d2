"""Jobs that a command asks for and the owner of the indexes does: check, repair, erase.

Where a server holds the library its worker does the job between two batches; the command follows
it in the catalog. Where nobody does, the command takes the lock and does it itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ingest.check import Steps, findings, survey
from ingest.erasing import erase
from ingest.pipeline import Pipeline
from ingest.repair import repair
from rag.catalog.audit import mark_lost_originals
from rag.catalog.index_rows import count_chunks
from rag.catalog.jobs import Job, current_job, update_job
from rag.errors import Busy, CloisterError
from rag.library import Library
from rag.records import to_json

_REPORT_SECONDS = 0.5

Perform = Callable[[Library, Pipeline, Mapping[str, Any], Steps], Mapping[str, Any]]


def run_job(library: Library, pipeline: Pipeline, stop_if_told: Callable[[], None]) -> None:
    """Do the job that waits, if one does. Never raises for what goes wrong within the job."""
    job = current_job(library.catalog)
    if job is None or job.state != "waiting":
        return
    job = replace(job, state="running")
    reported = time.monotonic()

    def steps(done: int, total: int) -> None:
        nonlocal reported
        stop_if_told()
        if time.monotonic() - reported >= _REPORT_SECONDS:
            reported = time.monotonic()
            if not update_job(library.catalog, replace(job, done=done, total=total)):
                raise Busy("Nobody waits for this job any more.")

    if not update_job(library.catalog, job):
        return
    ended = replace(job, state="failed", error="It failed unexpectedly; see the server's log.")
    try:
        ended = replace(job, state="done", result=perform(library, pipeline, job, steps))
    except CloisterError as error:
        ended = replace(job, state="failed", error=str(error))
    finally:
        update_job(library.catalog, ended)


def perform(library: Library, pipeline: Pipeline, job: Job, steps: Steps) -> Mapping[str, Any]:
    """Do a job now, in the thread that owns the indexes; returns its result."""
    return _KINDS[job.kind](library, pipeline, job.arguments, steps)


def _check(
    library: Library, pipeline: Pipeline, arguments: Mapping[str, Any], steps: Steps
) -> Mapping[str, Any]:
    settings, catalog = library.settings, library.catalog
    found = survey(settings, catalog, library.indexes, steps, pipeline.in_hand)
    told = findings(catalog, found)
    if told.sound and arguments.get("repair"):
        mark_lost_originals(catalog, [])
    if not arguments.get("repair") or told.sound:
        return {"found": to_json(told), "left": to_json(told)}
    repair(library, found, pipeline.in_hand, bool(arguments.get("unknown")))
    again = survey(settings, catalog, library.indexes, steps, pipeline.in_hand)
    left = findings(catalog, again)
    return {"found": to_json(told), "left": to_json(left)}


def _erase(
    library: Library, pipeline: Pipeline, arguments: Mapping[str, Any], steps: Steps
) -> Mapping[str, Any]:
    began = time.monotonic()
    done, total = 0, 2 * count_chunks(library.catalog)

    def tell(count: int) -> None:
        nonlocal done
        done += count
        steps(done, total)

    erase(library, pipeline, tell)
    return {"chunks": total // 2, "seconds": round(time.monotonic() - began, 3)}


_KINDS: Mapping[str, Perform] = {"check": _check, "erase": _erase}
