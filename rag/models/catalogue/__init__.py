"""The catalogue: what is known of open models, each fact with its source.

A file here holds a family. `docs/models.md` says what the catalogue tells and what it does not,
and how a model is added.
"""

from __future__ import annotations

import difflib
from functools import lru_cache
from pathlib import Path

from rag.models.catalogue.reading import read_catalogue
from rag.models.catalogue.records import LLM, Model, Openness

__all__ = ["Model", "Openness", "catalogue", "entry_of", "families", "nearest"]


@lru_cache
def catalogue() -> tuple[Model, ...]:
    """Every model, those that write first, by family."""
    return tuple(sorted(read_catalogue(Path(__file__).parent), key=lambda model: model.task != LLM))


def families() -> tuple[str, ...]:
    """The names of all families, in the order of the catalogue."""
    return tuple(dict.fromkeys(model.family for model in catalogue()))


def entry_of(name: str) -> Model | None:
    """The model of a hub id, or of an id without its organisation, in whatever case."""
    return _by_name().get(name.partition("@")[0].casefold())


@lru_cache
def _by_name() -> dict[str, Model]:
    return {name.casefold(): model for model in catalogue() for name in (model.name, model.id)}


def nearest(name: str, others: tuple[str, ...] = (), most: int = 3) -> list[str]:
    """The ids of the catalogue, and of `others`, that are most like a name."""
    ids = {one: one for one in others}
    for model in catalogue():
        ids[model.name] = ids[model.id] = model.id
    folded: dict[str, str] = {}
    for known, full in ids.items():
        folded.setdefault(known.casefold(), full)
    found = difflib.get_close_matches(name.casefold(), folded, n=2 * most, cutoff=0.5)
    found += [one for one in folded if len(name) > 2 and name.casefold() in one]
    return list(dict.fromkeys(folded[one] for one in found))[:most]
