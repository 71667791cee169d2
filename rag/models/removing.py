"""Takes a model or an adapter out of the models folder, unless it is in use."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from rag.errors import Busy, NotFound, UsageError
from rag.models.adapter import is_shipped
from rag.models.downloading import full
from rag.models.folder import model_paths
from rag.models.leftovers import REMOVING, claimed, clear_removed, size_of, unfinished
from rag.reading import second_base
from rag.settings import Settings


def remove(settings: Settings, name: str, serving: Mapping[str, str]) -> int:
    """Delete a model's or an adapter's folder, and what broken-off commands left; the bytes freed.

    `serving` has what the running server uses, by what for, each a name of this folder. Raises
    NotFound, UsageError for what is no name in the models folder or is named by a setting, Busy for
    what the server uses and for what another process fetches, adds, tunes or removes.
    """
    folder = name.replace("/", "--", 1)
    if not folder or folder in (".", "..") or folder.startswith(".") or "/" in folder:
        raise UsageError(f"“{name}” is no name in the models folder: cloister models list")
    target = settings.models_path / folder
    left = unfinished(settings.models_path, name)
    if is_shipped(folder) and not target.exists():
        raise UsageError(
            f"{name} is part of Cloister and stays. Set llm.adapter to none to do without it."
        )
    if not target.exists() and not target.is_symlink() and not left:
        raise NotFound(f"There is no model and no adapter {name} here: cloister models list")
    if target.exists():
        _check(settings, target, serving)
    freed = 0
    try:
        with ExitStack() as locks:
            for one in left:  # all of them before anything is deleted
                locks.enter_context(claimed(one.path, one.doing))
            if target.is_dir() and not target.is_symlink():
                locks.enter_context(claimed(target, "making"))
            for one in left:
                freed += size_of(one.path)
                shutil.rmtree(one.path)
            if target.is_symlink():
                target.unlink()
            elif target.exists():
                freed += size_of(target)
                gone = settings.models_path / f"{REMOVING}{folder}"
                target.rename(gone)  # from here on it is no model, however this ends
                shutil.rmtree(gone)
    except OSError as error:
        raise full(error) from error
    clear_removed(settings.models_path)
    return freed


def _check(settings: Settings, target: Path, serving: Mapping[str, str]) -> None:
    named = {
        # with llm.url, it is a server's name of what it has
        "llm.model": "" if settings.llm_url else settings.llm_model,
        "llm.adapter": settings.llm_adapter,
        "embedder.model": settings.embedder_model,
        "reader.model": settings.reader_model,
    }
    for setting, value in named.items():
        if value and _is(settings.models_path, value, target):
            advice = " (cloister models use OTHER)" if setting.startswith("llm.") else ""
            raise UsageError(
                f"{target.name} is in use: {setting} names it. Name another one first{advice}."
            )
    base = second_base(settings)
    if base and base.samefile(target):
        raise UsageError(
            f"{target.name} is in use: the second reader, which helps to tell whether passages "
            "answer a question, is built on it. Set reader.second to none first."
        )
    for what, value in serving.items():
        if value and _is(settings.models_path, value, target):
            raise Busy(f"{target.name} is in use by the running server, as its {what}.")


def _is(models_path: Path, value: str, target: Path) -> bool:
    """Whether a setting's value names this folder; a revision after “@” makes no difference."""
    places = model_paths(models_path, value.partition("@")[0])
    return any(place.exists() and place.samefile(target) for place in places)
