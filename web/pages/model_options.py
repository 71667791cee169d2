"""The options of the ask page that say which model answers."""

from __future__ import annotations

from dataclasses import dataclass

from rag.catalog.collections import list_collections
from rag.library import Library
from rag.model_choices import ModelChoice, model_choices
from rag.model_pick import NONE
from web.rendering import human_bytes


@dataclass(frozen=True, slots=True)
class ModelOption:
    """An option of a choice: the name that is sent, what is read, and whether it can be taken."""

    value: str
    label: str
    disabled: bool
    selected: bool


def model_options(library: Library, chosen: str) -> list[ModelOption]:
    """The models that a question may choose, the one without a choice first.

    None where there is only one; `chosen` is what was chosen before.
    """
    choices = model_choices(library, compared=library.ready)
    if len(choices) < 2:
        return []
    own = any(item.model for item in list_collections(library.catalog))
    options = [ModelOption("", "the collection's own, else the one in use", False, False)]
    if not own:
        options = [ModelOption("", _label(choices.pop(0)), False, False)]
    for one in choices:
        taken = bool(one.problem)
        options.append(ModelOption(one.name, _label(one), taken, chosen == one.name and not taken))
    return options


def _label(one: ModelChoice) -> str:
    if one.name == NONE:
        return "none · quotes alone" + (" · in use" if one.in_use else "")
    parts = [one.name]
    if one.bytes:
        parts += [human_bytes(one.bytes), one.licence]
    state = "in use" if one.in_use else "loaded" if one.loaded else "not loaded"
    return " · ".join([*parts, one.problem or state])
