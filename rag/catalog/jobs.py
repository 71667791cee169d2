"""The one job at a time that a command asks of the process that holds the library."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from rag.catalog import Catalog, put_fact
from rag.errors import Busy

_FACT = "job"

JobState = Literal["waiting", "running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Job:
    """A job, how far it is (`done` of `total` steps), and in the end its result or error."""

    id: str
    kind: str
    arguments: Mapping[str, Any]
    state: JobState = "waiting"
    done: int = 0
    total: int = 0
    result: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


def ask_for(catalog: Catalog, kind: str, arguments: Mapping[str, Any]) -> Job:
    """Ask for a job. Raises Busy while another one is waited for."""
    job = Job(secrets.token_hex(8), kind, dict(arguments))
    with catalog.write() as connection:
        other = _decode(catalog.fact(_FACT))
        if other and other.state in ("waiting", "running"):
            raise Busy(
                f"The library is doing another such job (“{other.kind}”). Wait until it ends, and "
                "try again."
            )
        put_fact(connection, _FACT, json.dumps(asdict(job)))
    return job


def current_job(catalog: Catalog) -> Job | None:
    """The job that was asked for last, if it was not taken back."""
    return _decode(catalog.fact(_FACT))


def update_job(catalog: Catalog, job: Job) -> bool:
    """Write how far a job is; False where it was taken back."""
    with catalog.write() as connection:
        there = _decode(catalog.fact(_FACT))
        if there is None or there.id != job.id:
            return False
        put_fact(connection, _FACT, json.dumps(asdict(job)))
        return True


def take_back(catalog: Catalog, job: Job) -> None:
    """Nobody waits for the job any more: who does it stops, and its result is forgotten."""
    with catalog.write() as connection:
        there = _decode(catalog.fact(_FACT))
        if there is not None and there.id == job.id:
            put_fact(connection, _FACT, None)


def start_again(catalog: Catalog) -> None:
    """Called by the worker at its start: a job that a killed one had begun waits again."""
    job = current_job(catalog)
    if job and job.state == "running":
        update_job(catalog, replace(job, state="waiting", done=0))


def _decode(value: str | None) -> Job | None:
    return Job(**json.loads(value)) if value else None
