"""Takes a model or an adapter out of the models folder, unless it is in use."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from rag.errors import Busy, NotFound, UsageError
from rag.models.adapter import is_shipped
from rag.models.downloading import full
from rag.models.folder import model_paths
from rag.models.pulling import unfinished
from rag.settings import Settings

_REMOVING = ".removing-"


def remove(settings: Settings, name: str, serving: Mapping[str, str]) -> int:
    """Delete a model's or an adapter's folder, and what a broken-off pull of it left; bytes freed.

    `serving` has what the running server uses, by what for, each a name of this folder. Raises
    NotFound, UsageError for what is no name in the models folder or is named by a setting, Busy for
    what the server uses.
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
        if target.is_symlink():
            target.unlink()
        elif target.exists():
            freed += _size(target)
            gone = settings.models_path / f"{_REMOVING}{folder}"
            shutil.rmtree(gone, ignore_errors=True)
            target.rename(gone)  # from here on it is no model, however this ends
            shutil.rmtree(gone)
        for path in left:
            freed += _size(path)
            shutil.rmtree(path)
    except OSError as error:
        raise full(error) from error
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
    for what, value in serving.items():
        if value and _is(settings.models_path, value, target):
            raise Busy(f"{target.name} is in use by the running server, as its {what}.")


def _is(models_path: Path, value: str, target: Path) -> bool:
    """Whether a setting's value names this folder; a revision after “@” makes no difference."""
    places = model_paths(models_path, value.partition("@")[0])
    return any(place.exists() and place.samefile(target) for place in places)


def _size(folder: Path) -> int:
    return sum(f.lstat().st_size for f in folder.rglob("*") if f.is_file() or f.is_symlink())
