"""Which model a question or a collection chooses: `NAME`, `NAME+ADAPTER`, or `none` for quotes."""

from __future__ import annotations

import difflib
from contextlib import suppress
from dataclasses import dataclass

from rag.errors import CloisterError, NotFound, UsageError
from rag.models.adapter import AUTO, NO, Adapter, adapters_of, list_adapters, shipped_for
from rag.models.folder import EMBEDDER, ModelFolder, list_models
from rag.printing import printable
from rag.records import ModelInfo
from rag.settings import Settings

NONE = "none"
_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Pick:
    """A model's folder, None: answers are quotes; and the adapter that is put on it, if any."""

    folder: ModelFolder | None
    adapter: Adapter | None = None

    @property
    def name(self) -> str:
        """As a question names it; the same model has one name, however it was given."""
        if self.folder is None:
            return NONE
        return joined(self.folder.name, self.adapter.name if self.adapter else "")


def joined(model: str, adapter: str) -> str:
    """A model's name with that of an adapter, if there is one."""
    return f"{model}+{adapter}" if adapter else model


def name_in_use(in_use: ModelInfo) -> str:
    """What a question calls the LLM that is in use."""
    return joined(in_use.id, (in_use.adapter or "").partition("@")[0])


def resolve(settings: Settings, text: str, in_use: ModelInfo) -> str:
    """The whole name of the model that is chosen; nothing is loaded, nor hashed.

    The one in use may always be chosen. Raises NotFound for what is not in the models folder,
    UsageError for an embedder, for what the operator does not allow, and where an LLM server
    answers.
    """
    text = text.strip()
    if text == name_in_use(in_use):
        return text
    if settings.llm_url:
        raise UsageError(
            f"The LLM runs on the server at llm.url, as {printable(in_use.id)}; a question cannot "
            f"choose {_shown(text)}. Leave the model out."
        )
    if not settings.llm_others:
        raise UsageError(
            f"A question cannot choose {_shown(text)}: all are answered by "
            f"{name_in_use(in_use)} here (llm.others is 0). Leave the model out."
        )
    pick = find_pick(settings, text)
    if pick.name != name_in_use(in_use) and not allowed(settings, pick):
        raise UsageError(
            f"A question may not choose {pick.name}; the operator allows "
            f"{', '.join(settings.limits_models)} (limits.models)."
        )
    return pick.name


def resolve_by_settings(settings: Settings, text: str) -> str:
    """As `resolve`, where no LLM is loaded: in use is what the settings name."""
    return resolve(settings, text, named_by(settings))


def named_by(settings: Settings) -> ModelInfo:
    """What the settings let answer, as far as it is known before that is loaded.

    An adapter that is chosen by itself is known where the model's checksums are recorded.
    """
    model, adapter = settings.llm_model or NONE, settings.llm_adapter
    shipped = None
    if not settings.llm_url and model != NONE:
        with suppress(CloisterError):
            folder = _folder(settings, model)
            model, shipped = folder.name, shipped_for(folder)
    if adapter == AUTO:
        adapter = shipped.name if shipped else ""
    return ModelInfo(model, "", "", None if adapter == NONE else adapter or None)


def find_pick(settings: Settings, text: str) -> Pick:
    """The folders of what is chosen.

    Raises NotFound, and UsageError for an embedder, an adapter that was made for another model and
    one that may not be used.
    """
    if text == NONE:
        return Pick(None)
    model, plus, named = text.partition("+")
    folder = _folder(settings, model)
    if not plus:
        return Pick(folder)
    adapters = {one.name: one for one in list_adapters(settings.models_path, lambda _: None)}
    if named not in adapters:
        raise NotFound(
            f"There is no adapter {_shown(named)} in the models folder."
            f"{_hint(named, list(adapters))}"
        )
    adapter = adapters[named]
    if not adapters_of([adapter], folder):
        raise UsageError(_unusable(adapter, folder))
    return Pick(folder, adapter)


def allowed(settings: Settings, pick: Pick) -> bool:
    """Whether the operator lets questions choose it."""
    if not settings.limits_models:
        return True
    if pick.folder is None:
        return NONE in settings.limits_models
    adapter = pick.adapter.name if pick.adapter else ""
    names = {joined(name, adapter) for name in names_of(pick.folder)}
    return not names.isdisjoint(settings.limits_models)


def names_of(folder: ModelFolder) -> tuple[str, ...]:
    """What a model's folder may be called: its name, its folder's, that without organisation."""
    return folder.name, folder.path.name, folder.path.name.partition("--")[2] or folder.path.name


def _folder(settings: Settings, text: str) -> ModelFolder:
    """The folder of a name. One without its organisation must be of one model alone."""
    name, _, revision = text.partition("@")
    here = list_models(settings.models_path, lambda _: None)
    exact = [one for one in here if name in names_of(one)[:2]]
    found = exact or [one for one in here if name in names_of(one)]
    if len(found) != 1:
        known = [one.name for one in here if one.task != EMBEDDER]
        raise NotFound(
            f"There is no model {_shown(text)} in the models folder.{_hint(name, known)}"
        )
    if found[0].task == EMBEDDER:
        raise UsageError(f"{found[0].name} is an embedder and writes no answers.")
    if revision and found[0].revision != revision:
        raise NotFound(
            f"{found[0].name} is here in revision {found[0].revision or 'unknown'}, not "
            f"{_shown(revision)}. Leave “@…” out, or fetch that revision."
        )
    return found[0]


def _unusable(adapter: Adapter, folder: ModelFolder) -> str:
    if adapter.record.usable == NO:
        return (
            f"The adapter {adapter.name} may not be used: it was not better than its base, "
            f"{adapter.record.base}, on what was held out. Choose {folder.name} without it."
        )
    return (
        f"The adapter {adapter.name} was made for {printable(adapter.record.base)}, not for "
        f"{folder.name}. Choose {folder.name} without it, or with one that was made for it."
    )


def _hint(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return f" Did you mean {near[0]}?"
    return f" There are {', '.join(sorted(known))}." if known else ""


def _shown(text: str) -> str:
    return f"“{printable(text[:_SHOWN])}”"
