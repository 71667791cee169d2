"""The models pages: what there is to choose from, and all that is known of one."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, request

from rag.comparing.entries import choices
from rag.errors import ModelError
from rag.models.catalogue import catalogue, families
from rag.models.catalogue.records import CRITERIA, GATED, SOURCES_NOTE, TEMPLATE_WORDS
from rag.models.footprint import GPU, Machine
from rag.models.licences import ANSWERS, NOT_ADVICE, PERMISSIONS
from rag.models.listing import TASKS, Choice, choose
from rag.models.sheet import sheet
from web.pages.shared import language_name
from web.served import served

pages = Blueprint("models_page", __name__)
_TASK_LABELS = {"llm": "writes answers", "embedder": "finds passages", "adapter": "tunes an LLM"}
_FLAGS = ("commercial", "fits", "here")


@pages.get("/models")
def models() -> str:
    """The models that are here and those of the catalogue; a form chooses among them."""
    return models_page()


def models_page(**values: Any) -> str:
    """The page, with what a form on it led to."""
    choice = _choice()
    damaged: list[ModelError] = []
    settings = served().library.settings
    found = choose(settings, choice, damaged.append)
    return render_template(
        "models.html",
        found=found,
        choice=choice,
        chosen=choice != Choice(),
        damaged=[str(error) for error in damaged],
        families=families(),
        languages=_languages(),
        task_labels=_TASK_LABELS,
        memory=_memory(found.machine),
        not_advice=NOT_ADVICE,
        choices=list(choices(settings)),
        chosen_models=request.form.getlist("models"),
        comparisons=served().comparisons.all(),
        **values,
    )


@pages.get("/models/<path:model_id>")
def model(model_id: str) -> str:
    """All that the catalogue knows of one."""
    found = sheet(served().library.settings, model_id)
    return render_template(
        "model.html",
        sheet=found,
        model=found.model,
        task_labels=_TASK_LABELS,
        criteria=CRITERIA,
        gated=GATED[found.model.gated],
        template=TEMPLATE_WORDS.get(found.model.template, found.model.template),
        sources_note=SOURCES_NOTE,
        permissions=PERMISSIONS,
        answers=ANSWERS,
        memory=_memory(found.machine),
        not_advice=NOT_ADVICE,
    )


def _choice() -> Choice:
    """What the form asks for; what it cannot ask for asks for nothing."""
    task = request.args.get("task", "")
    return Choice(
        language=request.args.get("language", ""),
        family=request.args.get("family", ""),
        task=task if task in TASKS else "",
        **{name: bool(request.args.get(name)) for name in _FLAGS},
    )


def _languages() -> list[tuple[str, str]]:
    """Every language that a model of the catalogue knows, as tag and name, by name."""
    tags = {tag for model in catalogue() for tag in model.languages}
    return sorted(((tag, language_name(tag)) for tag in tags), key=lambda pair: pair[1].casefold())


def _memory(machine: Machine) -> str:
    kind = "GPU memory" if machine.kind == GPU else "memory"
    return f"{machine.bytes / 1e9:.0f} GB of {kind}"
