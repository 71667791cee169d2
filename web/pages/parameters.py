"""The fields of the ask page that say how an answer is generated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rag.parameters import PARAMETERS, limit_of
from rag.ranges import shown
from rag.settings import Settings

_DEFAULTS = {"temperature": "llm_temperature", "max_new_tokens": "llm_max_new_tokens"}


@dataclass(frozen=True, slots=True)
class ParameterField:
    """A field: `kind` is number or text; of a text `most` is its length."""

    name: str
    label: str
    help: str
    kind: str
    least: str
    most: str
    step: str
    default: str
    value: str


def parameter_fields(settings: Settings, given: Mapping[str, str]) -> Iterator[ParameterField]:
    """A field for each parameter that a question may set, with what was given for it before."""
    for parameter in PARAMETERS:
        limit = limit_of(parameter.name, settings)
        if limit.fixed:
            continue
        setting = _DEFAULTS.get(parameter.name)
        default = limit.nearest(getattr(settings, setting)) if setting else None
        yield ParameterField(
            parameter.name,
            parameter.label,
            parameter.help,
            "text" if parameter.kind is str else "number",
            shown(limit.least),
            shown(limit.most),
            "1" if parameter.kind is int else "any",
            "" if default is None else shown(default),
            given.get(parameter.name, ""),
        )
