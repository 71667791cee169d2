"""The recorder of a model's steps, with those quicker ways that are right and faster on its GPU."""

from __future__ import annotations

import logging
from collections.abc import Callable

from rag.models.batch.grouped import grouped
from rag.models.batch.norms import fused_norms
from rag.models.batch.recorder import Record, Recorder, choose, probe
from rag.models.batch.rotary import joined_rotary
from rag.models.batch.steps import Steps
from rag.models.batch.ways import Way

_log = logging.getLogger("cloister")


def quickened(steps: Steps, record: Record) -> Recorder:
    """A recorder whose ways a probe chose; without any where none is found or the probe fails.

    The shelf's first row is spent, and nothing else may run on the model meanwhile. Attention is
    tried for each number of rows and columns, since many rows are another matter than one.
    """
    try:
        found, attention = _found(steps)
        chosen = choose(steps, record, [*found, *attention])
    except Exception as error:  # noqa: BLE001 - whatever it raises, the model's own ways are there
        _log.info("The LLM's steps are recorded as they are: %s", error)
        return Recorder(steps, record)
    finally:
        steps.shelf.wipe(0)  # a way that was wrong may have left numbers that are none
    _log.info("The LLM's steps are recorded with quicker: %s", [way.name for way in chosen])
    always = [way for way in chosen if way not in attention]
    return Recorder(steps, record, always, [way for way in chosen if way in attention])


def _found(steps: Steps) -> tuple[list[Way], list[Way]]:
    model, step = steps.model, probe(steps)
    ways = (_without_harm(fused_norms, model), _without_harm(joined_rotary, model, step))
    attention = _without_harm(grouped, model, step)
    return [way for way in ways if way], [attention] if attention else []


def _without_harm(find: Callable[..., Way | None], *given: object) -> Way | None:
    try:
        return find(*given)
    except Exception as error:  # noqa: BLE001 - whatever it raises, the model's own way is there
        _log.info("%s cannot be used: %s", find.__name__, error)
        return None
