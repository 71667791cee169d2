"""The recorder of a model's steps, with those quicker ways that are right and faster on its GPU."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

from rag.models.batch.compiled import compiled_layers, end_workers
from rag.models.batch.grouped import grouped
from rag.models.batch.norms import fused_norms
from rag.models.batch.products import joined_products
from rag.models.batch.recorder import Choice, Record, Recorder, fill, probe
from rag.models.batch.rotary import joined_rotary
from rag.models.batch.steps import Steps
from rag.models.batch.ways import Way, in_force

_log = logging.getLogger("cloister")
# seconds of a step from which on layers are compiled: of shorter ones nobody sees what it saves,
# and everybody that it takes a quarter of a minute at load
_WORTH = 0.003


def quickened(steps: Steps, record: Record, compiles: bool = True) -> Recorder:
    """A recorder whose ways a probe chose; without any where none is found or the probe fails.

    The shelf's first two rows are spent, and nothing else may run on the model meanwhile.
    Attention, and with `compiles` layers that are compiled, are tried for each number of rows and
    columns, since many rows are another matter than one.
    """
    try:
        recorder = _chosen(steps, record, compiles)
    except Exception as error:  # noqa: BLE001 - whatever it raises, the model's own ways are there
        _log.info("The LLM's steps are recorded as they are: %s", error)
        return Recorder(steps, record)
    finally:
        for row in range(min(2, steps.shelf.rows)):
            steps.shelf.wipe(row)  # a way that was wrong may have left numbers that are none
        if compiles:
            with suppress(Exception):  # torch names it otherwise; they end with this process
                end_workers()
    _log.info("The LLM's steps are recorded with quicker: %s", recorder.ways)
    return recorder


def _chosen(steps: Steps, record: Record, compiles: bool) -> Recorder:
    model, step = steps.model, probe(steps)
    products = _without_harm(joined_products, model, step)
    attention = _without_harm(grouped, model, step)
    ways = [_without_harm(fused_norms, model), _without_harm(joined_rotary, model, step)]
    choice = Choice(steps, record)
    chosen, seconds = choice.best([way for way in (*ways, products, attention) if way])
    always = [way for way in chosen if way is not attention]
    tried = [chosen] if attention in chosen else []
    if compiles and seconds >= _WORTH:
        layers = _compiled(steps, [way for way in chosen if way in (products, attention)])
        if layers and choice.betters(layers, seconds):
            tried.append(layers)
    recorder = Recorder(steps, record, always, tried)
    # so that nobody waits for them; what is compiled for two rows serves more
    recorder.made([1], [choice.length])
    if steps.shelf.rows > 1:
        recorder.made([1, 2], [choice.length, fill(steps, 1, -(-choice.length // 3))])
    return recorder


def _compiled(steps: Steps, beside: list[Way]) -> list[Way]:
    """The ways of which one is that layers are compiled, with those `beside` it in force."""
    step = probe(steps)
    with in_force(beside):
        layers = _without_harm(compiled_layers, steps.model, steps.shelf, step)
    return [*beside, layers] if layers else []


def _without_harm(find: Callable[..., Way | None], *given: object) -> Way | None:
    try:
        return find(*given)
    except Exception as error:  # noqa: BLE001 - whatever it raises, the model's own way is there
        _log.info("%s cannot be used: %s", find.__name__, error)
        return None
