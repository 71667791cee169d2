"""The open models: those that are here, and the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag

from rag.model_choices import ModelChoice, model_choices
from rag.models.listing import ADAPTER, Choice, Here, choose
from rag.records import to_json
from web.api.described import problems
from web.api.schemas import ModelsOutput, ModelsQuery
from web.served import served

api = APIBlueprint(
    "models",
    __name__,
    url_prefix="/api/v1",
    abp_tags=[Tag(name="Models")],
    abp_responses=problems(400, 403),
)


@api.get("/models", responses={200: ModelsOutput})
def listing(query: ModelsQuery) -> Response:
    """The models in the models folder and the catalogue of open models, or those asked for.

    `fits` names the precisions at which a model's weights fit this machine, `in_use` says whether
    answers or searches are made with it. Of a model that a question may choose, `loaded` says
    whether it answers at once, `fits_beside` whether there is room for it beside what is in use,
    and `adapters` what may be added to its name after a `+`. A model whose record is damaged is
    left out.
    """
    library = served().library
    found = choose(library.settings, Choice(**query.model_dump()), lambda _: None)
    choices = {one.name: one for one in model_choices(library)}
    models = tuple(_as_it_is_now(one, choices) for one in found.models)
    return jsonify(to_json(replace(found, models=models)))


def _as_it_is_now(one: Here, choices: Mapping[str, ModelChoice]) -> Here:
    """A model with what the server knows of it beside those that are loaded."""
    if one.task == ADAPTER:
        with_it = [choice for name, choice in choices.items() if name.endswith(f"+{one.name}")]
    else:
        with_it = [choices[one.name]] if one.name in choices else []
    if not with_it:
        return one
    return replace(
        one,
        loaded=any(choice.loaded for choice in with_it),
        fits_beside=any(not choice.problem for choice in with_it),
    )
