"""How a command gets a job done: by the running server's worker, else by itself."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ingest.check import Steps, findings, survey
from ingest.following import ended_in_order, try_library_lock
from ingest.patience import POLL_SECONDS, Patience
from ingest.recipe import differs
from ingest.worker import Worker
from rag.catalog import Catalog
from rag.catalog.audit import mark_lost_originals
from rag.catalog.folders import unfinished
from rag.catalog.jobs import Job, ask_for, current_job, take_back
from rag.embedding import embedder_fingerprint
from rag.errors import CloisterError, UsageError
from rag.library import Library
from rag.lock import find_holder, in_use
from rag.records import to_json
from rag.settings import Settings


def do_job(
    settings: Settings,
    catalog: Catalog,
    what: str,
    kind: str,
    arguments: Mapping[str, Any],
    steps: Steps,
) -> Mapping[str, Any]:
    """Have a job done for the command `what` and return its result.

    Raises Busy where another command has the library or asked for a job, what the job raised, and
    as `Patience.wait` does.
    """
    while True:
        holder = find_holder(settings)
        if holder is None:
            with ended_in_order(), try_library_lock(settings, what) as taken:
                if taken:
                    return _here(settings, catalog, Job("", kind, arguments), steps)
            continue  # if a server started in this very moment: ask it
        if not holder.address:
            raise in_use(holder)
        job = ask_for(catalog, kind, arguments)
        try:
            result = _followed(settings, catalog, job, steps)
        finally:
            take_back(catalog, job)
        if result is not None:
            return result


def _here(settings: Settings, catalog: Catalog, job: Job, steps: Steps) -> Mapping[str, Any]:
    if stale := current_job(catalog):
        take_back(catalog, stale)
    found: Mapping[str, Any] = {}
    if job.kind == "check":
        told = findings(catalog, survey(settings, catalog, embedder_fingerprint(settings), steps))
        found = to_json(told)
        if told.sound and job.arguments.get("repair"):
            mark_lost_originals(catalog, [])
        if told.sound or not job.arguments.get("repair"):
            return {"found": found, "left": found}
    library = Library(settings)
    try:
        library.load(llm=False, mend=job.kind != "check")
        result = Worker(library).do(job, steps)
        if job.kind != "check":
            return result
        # what had to be read again has been read by now
        left = findings(catalog, survey(settings, catalog, library.indexes, steps))
        return {"found": found, "left": to_json(left)}
    finally:
        library.close()


def _followed(
    settings: Settings, catalog: Catalog, job: Job, steps: Steps
) -> Mapping[str, Any] | None:
    """The result of a job that the server does; None where the server ended before it did."""
    patience = Patience(settings)
    while find_holder(settings) is not None:
        now = current_job(catalog)
        if now is None or now.id != job.id:
            return None
        if now.state == "failed":
            raise CloisterError(now.error)
        if now.state == "done":
            return now.result
        steps(now.done, now.total)
        if now.state == "waiting":
            patience.wait(now.id)
        else:  # some steps take long
            time.sleep(POLL_SECONDS)
    return None


def refuse_other_recipe(settings: Settings, catalog: Catalog) -> None:
    """Raises UsageError where a running server reads documents by other settings than these."""
    holder = find_holder(settings)
    if holder is not None and holder.address and differs(settings, catalog):
        raise UsageError(
            "The running server was started with another embedder or other chunk sizes than are "
            "set now. Restart it: it then reads every document again, and the old text answers "
            "until the new is ready."
        )


def wait_for_queue(settings: Settings, catalog: Catalog) -> None:
    """Return when a server has read what waits, cannot, or when there is none any more."""
    patience = Patience(settings)
    with suppress(CloisterError):  # the reason was said
        while (left := unfinished(catalog)) and find_holder(settings) is not None:
            patience.wait(left)
