"""What is to be compared: models, questions, collections; and the name of just that comparison."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from rag import __version__
from rag.answerability import used_calibration
from rag.catalog import Catalog
from rag.catalog.collections import asked_parameters
from rag.comparing.entries import Entry, Skipped, find_entries
from rag.errors import CloisterError, UsageError
from rag.evaluation.collections import check_collections
from rag.evaluation.questions import Item
from rag.models.hardware import memory_for
from rag.prompting import PROMPT_VERSION
from rag.provenance import fingerprint_of
from rag.questions import checked
from rag.records import to_json
from rag.settings import Settings

# a model is named by itself, and what a question waits for does not change its answer
_DECIDE = ("llm_", "retrieval_", "answer_", "reader_", "embedder_", "question_", "limits_")
_LEFT_OUT = {"llm_model", "llm_adapter", "llm_queue", "llm_check_fit"}
_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Plan:
    """A comparison that can begin. `id` changes with all that decides its answers, but documents.

    `name` is that of the questions' file.
    """

    id: str
    name: str
    items: tuple[Item, ...]
    entries: tuple[Entry, ...]
    skipped: tuple[Skipped, ...]
    collections: tuple[str, ...] | None


def make_plan(
    settings: Settings,
    catalog: Catalog,
    models: Sequence[str],
    items: Sequence[Item],
    name: str,
    collections: Sequence[str] | None = None,
) -> Plan:
    """Check what is to be compared.

    `collections` (None: all) are for the questions that name none of their own. Raises UsageError
    where fewer than two models can be, for a question that may not be asked and a device that is
    not here, and UnknownCollection.
    """
    of_collection = asked_parameters(catalog, collections)
    check_collections(catalog, items, name)
    named = sorted({item.collection for item in items if item.collection is not None})
    for item in items:
        try:
            checked(item.question, settings)
        except CloisterError as error:
            raise UsageError(f"{name}, “{item.id}”: {error}") from error
    if not items:
        raise UsageError(f"{name} holds no questions.")
    entries, skipped = find_entries(settings, models)
    place = memory_for(settings.llm_device)
    decide: dict[str, Any] = {
        "questions": to_json(tuple(items)),
        "models": [[entry.name, entry.fingerprint] for entry in entries],
        "skipped": [one.name for one in skipped],
        "collections": None if collections is None else sorted(collections),
        "parameters": dict(of_collection),
        "parameters of": {one: dict(asked_parameters(catalog, [one])) for one in named},
        "prompt": PROMPT_VERSION,
        "cloister": __version__,
        "calibration": fingerprint_of(used_calibration(settings)),
        "device": [place.device, place.name],
        "settings": {
            field.name: str(getattr(settings, field.name))
            for field in fields(settings)
            if field.name.startswith(_DECIDE) and field.name not in _LEFT_OUT
        },
    }
    digest = hashlib.sha256(json.dumps(decide, sort_keys=True).encode()).hexdigest()
    return Plan(
        id=f"cmp_{digest[:_DIGITS]}",
        name=name,
        items=tuple(items),
        entries=entries,
        skipped=skipped,
        collections=None if collections is None else tuple(collections),
    )


def spread(items: Sequence[Item], most: int | None) -> list[Item]:
    """At most so many questions, evenly spread over the file."""
    if most is None or most >= len(items):
        return list(items)
    return [items[place * len(items) // most] for place in range(most)]
