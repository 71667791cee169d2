"""One comparison from beginning to end, kept on the disk all along."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rag.comparing.figures import compare
from rag.comparing.holding import Hold
from rag.comparing.plan import Plan
from rag.comparing.run import Step, run
from rag.comparing.store import (
    Overview,
    open_ledger,
    read_overview,
    write_overview,
    write_result,
)
from rag.errors import ModelError, NotFound
from rag.models.consent import now
from rag.records import to_json

if TYPE_CHECKING:
    from rag.library import Library


def begin(library: Library, plan: Plan, again: bool = False) -> Overview:
    """Make the place of a comparison, or find what there is of it; with `again` without answers.

    What came out before is kept until `do` has ended, but with `again` goes at once. Raises
    StorageError.
    """
    settings = library.settings
    ledger = open_ledger(settings, plan.id, again)
    try:
        before = read_overview(settings, plan.id)
        begun, ended = before.begun, before.ended
    except NotFound:
        begun, ended = now(), ""
    overview = Overview(
        id=plan.id,
        name=plan.name,
        models=tuple(entry.name for entry in plan.entries),
        questions=len(plan.items),
        begun=begun,
        ended=ended,
        done=len(ledger.rows),
        total=len(plan.entries) * len(plan.items),
    )
    write_overview(settings, overview)
    return overview


def do(
    library: Library,
    plan: Plan,
    overview: Overview,
    hold: Hold,
    tell: Callable[[Step], None],
    stop: threading.Event,
) -> Mapping[str, Any]:
    """Do what `begin` made a place for, and keep what comes out; that, as JSON values.

    Raises Stopped, ModelError where no model could be asked, and StorageError.
    """
    settings = library.settings
    ledger = open_ledger(settings, plan.id)
    try:
        outcome = run(library, plan, ledger, hold, tell, stop)
    finally:
        write_overview(settings, replace(overview, done=len(ledger.rows)))
    if not outcome.entries:
        told = " ".join(f"{one.name}: {one.reason}" for one in outcome.skipped)
        told = told or "No question was left that a model is asked."
        raise ModelError(f"Nothing could be compared. {told}")
    ended = now()
    found = compare(plan, ledger, outcome, settings, overview.begun, ended)
    result: Mapping[str, Any] = to_json(found)
    write_result(settings, plan.id, result)
    write_overview(settings, replace(overview, done=len(ledger.rows), ended=ended))
    return result
