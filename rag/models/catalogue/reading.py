"""Reads the catalogue's files: one a family, with what its models share said once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rag.models.catalogue.records import (
    CRITERIA,
    EMBEDDER,
    GATED,
    GROUPS,
    LLM,
    NO_TEMPLATE,
    OWN_TEMPLATE,
    UNKNOWN,
    Model,
    Openness,
)
from rag.models.licences import licences
from rag.models.templates import templates

# what a file says of all its models, in `[common]`, or of one
_SHARED = {
    "task": str,
    "template": str,
    "context": int,
    "released": str,
    "weights_licence": str,
    "code_licence": str,
    "data": str,
    "data_licences": list,
    "gated": str,
    "languages": list,
    "languages_words": str,
    "openness": dict,
    "sources": dict,
}
_OWN = {"id": str, "parameters": int, "active_parameters": int, "config": dict, "notes": list}
_OPTIONAL = {"active_parameters", "data_licences", "languages", "languages_words", "notes"}
_HEAD = {"family": str, "developer": str, "checked": str, "common": dict, "models": list}
_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_MONTH = re.compile(r"20\d\d-(0[1-9]|1[0-2])")
_TAG = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def read_catalogue(folder: Path) -> Iterator[Model]:
    """Every model of the files in a folder, by file. Raises ValueError for a wrong or doubled one.

    The message names the file, the model and the key.
    """
    seen: set[str] = set()
    for path in sorted(folder.glob("*.toml")):
        for model in parse_family(tomllib.loads(path.read_text("utf-8")), path.name):
            for name in (model.id, model.name):
                if name.casefold() in seen:
                    raise ValueError(f"{path.name}: {model.id} is there twice, or its name is.")
            seen.update((model.id.casefold(), model.name.casefold()))
            yield model


def parse_family(tables: Mapping[str, Any], where: str) -> Iterator[Model]:
    """The models of one file. Raises ValueError as `read_catalogue` does."""
    _check(tables, _HEAD, set(_HEAD), where)
    common = tables["common"]
    _check(common, _SHARED, set(), f"{where}, common")
    for own in tables["models"]:
        place = f"{where}, {own.get('id', 'a model without an id')}"
        given = {**common, **own}
        for name in ("openness", "sources"):
            given[name] = {**common.get(name, {}), **own.get(name, {})}
        _check(given, {**_SHARED, **_OWN}, ({*_SHARED, *_OWN} - _OPTIONAL), place)
        yield _model(tables, given, place)


def _model(head: Mapping[str, Any], given: Mapping[str, Any], place: str) -> Model:
    openness, sources = given["openness"], given["sources"]
    languages = tuple(given.get("languages", ()))
    _check(openness, dict.fromkeys(CRITERIA, str), set(CRITERIA), f"{place}, openness")
    wanted = set(GROUPS) - (set() if languages else {"languages"})
    _check(sources, dict.fromkeys(GROUPS, list), wanted, f"{place}, sources")
    data_licences = tuple(given.get("data_licences", ()))
    _each(place, "task", (given["task"],), {LLM, EMBEDDER})
    _each(place, "template", (given["template"],), {*templates(), NO_TEMPLATE, OWN_TEMPLATE})
    _each(place, "gated", (given["gated"],), set(GATED))
    _each(place, "openness", openness.values(), {"open", "partly", "closed", UNKNOWN})
    named = (given["weights_licence"], given["code_licence"], *data_licences)
    _each(place, "licence", named, set(licences()))
    _match(place, "id", (given["id"],), _ID)
    _match(place, "released and checked", (given["released"], head["checked"]), _MONTH)
    _match(place, "languages", languages, _TAG)
    addresses = [one for group in sources.values() for one in group]
    _match(place, "sources", addresses, re.compile(r"https://\S+"))
    if any(not group for group in sources.values()):
        raise ValueError(f"{place}: a group of sources is empty.")
    active = given.get("active_parameters")
    if not 0 < (active or 1) <= given["parameters"] or given["context"] < 1:
        raise ValueError(f"{place}: parameters, active_parameters or context cannot be so.")
    if not isinstance(given["config"].get("model_type"), str):
        raise ValueError(f"{place}: config must have model_type.")
    return Model(
        id=given["id"],
        family=head["family"],
        developer=head["developer"],
        task=given["task"],
        parameters=given["parameters"],
        active_parameters=active,
        context=given["context"],
        template=given["template"],
        released=given["released"],
        weights_licence=given["weights_licence"],
        code_licence=given["code_licence"],
        data=given["data"],
        data_licences=data_licences,
        gated=given["gated"],
        languages=languages,
        languages_words=given.get("languages_words", ""),
        openness=Openness(**openness),
        notes=tuple(given.get("notes", ())),
        config=given["config"],
        sources={name: tuple(sources[name]) for name in GROUPS if name in sources},
        checked=head["checked"],
    )


def _check(
    table: Mapping[str, Any], types: Mapping[str, type], wanted: set[str], place: str
) -> None:
    for name, value in table.items():
        if name not in types:
            raise ValueError(f"{place}: there is no key {name}.")
        if not isinstance(value, types[name]) or isinstance(value, bool):
            raise ValueError(f"{place}: {name} must be of type {types[name].__name__}.")
    if missing := sorted(wanted - set(table)):
        raise ValueError(f"{place}: {', '.join(missing)} must be given.")


def _each(place: str, name: str, values: Any, known: Any) -> None:
    for value in values:
        if value not in known:
            raise ValueError(f"{place}: {name} {value} is none of {', '.join(sorted(known))}.")


def _match(place: str, name: str, values: Any, form: re.Pattern[str]) -> None:
    for value in values:
        if not isinstance(value, str) or not form.fullmatch(value):
            raise ValueError(f"{place}: {name} cannot be {value!r}.")
