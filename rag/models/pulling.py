"""A model from a hub: pinned to a commit, its licence accepted, whole or not there at all.

What is fetched lies in a hidden folder of that commit until everything is there and is what the hub
says it is; so whatever ends the process, the same command goes on where it ended.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from rag.errors import ModelError
from rag.models.consent import UNKNOWN, Ask, Licence, accept, now
from rag.models.downloading import INCOMPLETE, download
from rag.models.folder import (
    EMBEDDER,
    Manifest,
    ModelFolder,
    find_model,
    hash_files,
    verify,
)
from rag.models.gguf import convert
from rag.models.hub import Hub, HubFile, HubModel, online, open_hub
from rag.models.leftovers import clear_removed
from rag.models.selection import Selection, described, licence_files, select
from rag.models.staging import PULLING, check_space, folder_name, publish, staged
from rag.models.weights import SUFFIX, check_weights
from rag.settings import Settings

# what says what a model is, and its licence, is far smaller
_LARGEST_DESCRIPTION = 50_000_000


class Transfer(Protocol):
    """Hears how far a pull is."""

    def say(self, line: str) -> None:
        """A step began or ended."""

    def expect(self, total: int) -> None:
        """So many bytes there are in all."""

    def advance(self, count: int) -> None:
        """So many bytes more are here."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to pull. `name` is what it is called here, where not as in the hub.

    `gguf` names the file where the model has several in that format; `licence` is the licence that
    a program says it accepts.
    """

    id: str
    revision: str = "main"
    name: str | None = None
    gguf: str | None = None
    licence: str | None = None


def pull(settings: Settings, wanted: Wanted, transfer: Transfer, ask: Ask | None) -> ModelFolder:
    """Fetch a model from the hub of the settings; what is there already is verified and kept.

    `ask` shows a licence to a person. Raises NotFound, ModelError (gated, unreachable, not what the
    hub says, only pickles, needs code), UsageError (licence not accepted), StorageError, Busy.
    """
    hub = open_hub(settings)
    folder = folder_name(wanted.name or wanted.id)
    settings.models_path.mkdir(parents=True, exist_ok=True)
    clear_removed(settings.models_path)
    with online():
        transfer.say(f"{wanted.id}: asking {hub.address} …")
        if hub.withheld:
            transfer.say(hub.withheld)
        model = hub.describe(wanted.id, wanted.revision)
        target = settings.models_path / folder
        if target.exists():
            return _kept(target, model, transfer)
        if model.gated and hub.token is None:
            raise hub.gated(model.id)
        label = f"{PULLING}{folder}-{model.commit[:12]}"
        with staged(settings.models_path, label, keep=True) as files:
            return _Pull(hub, model, files, transfer).run(settings, wanted, target, ask)


class _Pull:
    """One pull under way, into `files`."""

    def __init__(self, hub: Hub, model: HubModel, files: Path, transfer: Transfer) -> None:
        self._hub = hub
        self._model = model
        self._files = files
        self._transfer = transfer
        self._known = {file.name: file for file in model.files}
        self._hashes: dict[str, str] = {}

    def run(self, settings: Settings, wanted: Wanted, target: Path, ask: Ask | None) -> ModelFolder:
        model, say = self._model, self._transfer.say
        for name in described(self._known):
            self._fetch(self._small(name), lambda _: None)
        selection = select(self._known, self._read, model.id, wanted.gguf)
        chosen = [self._known[name] for name in selection.files]
        size = sum(file.size for file in chosen)
        say(
            f"{model.id}: revision {model.commit}, {len(chosen)} files, {size / 1e6:,.0f} MB, to "
            f"be kept as {target.name}"
        )
        by, at = accept(self._licence(), wanted.licence, ask)
        here = sum(self._bytes_here(file) for file in chosen)
        # a GGUF file's weights are written again, with two bytes each
        room = size - here + (4 * size if selection.gguf else 0)
        check_space(settings.models_path, room, model.id)
        self._transfer.expect(size)
        for file in chosen:
            self._fetch(file, self._transfer.advance)
            if file.name.endswith(SUFFIX):
                check_weights(self._files / file.name, file.name, model.id)
        for name in set(_inside(self._files)) - set(selection.files):
            (self._files / name).unlink()
        manifest = Manifest(
            name=wanted.name or model.id,
            task=EMBEDDER if model.embedder or selection.task == EMBEDDER else selection.task,
            revision=model.commit,
            licence=model.licence or UNKNOWN,
            source=f"{self._hub.page(model.id)}@{model.commit}",
            download_bytes=size,
            files={name: self._hashes[name] for name in selection.files},
            licence_url=model.licence_url,
            accepted_by=by,
            accepted_at=at,
            fetched_at=now(),
        )
        if selection.gguf:
            manifest = converted(self._files, selection, manifest, say)
        return publish(self._files, target, manifest)

    def _read(self, name: str) -> str | None:
        """The text of a file that says what the model is."""
        path = self._files / name
        try:
            return path.read_text("utf-8") if path.is_file() else None
        except ValueError:
            return None

    def _small(self, name: str) -> HubFile:
        file = self._known[name]
        if file.size > _LARGEST_DESCRIPTION:
            raise ModelError(
                f"{name} of {self._model.id} has {file.size:,} bytes: it is no such file."
            )
        return file

    def _fetch(self, file: HubFile, advance: Callable[[int], None]) -> None:
        if file.name not in self._hashes:
            self._hashes[file.name] = download(
                self._hub, self._model, file, self._files / file.name, advance
            )
        else:
            advance(file.size)

    def _licence(self) -> Licence:
        texts = []
        for name in licence_files(self._known):
            self._fetch(self._small(name), lambda _: None)
            texts.append(self._read(name) or "")
        model = self._model
        return Licence(
            model.id, model.licence or UNKNOWN, model.licence_url, "\n\n".join(texts).strip()
        )

    def _bytes_here(self, file: HubFile) -> int:
        """How many bytes of a file need no room on the disk any more."""
        path = self._files / file.name
        for there in (path, path.with_name(path.name + INCOMPLETE)):
            if there.is_file():
                return min(there.stat().st_size, file.size)
        return 0


def converted(
    files: Path, selection: Selection, manifest: Manifest, say: Callable[[str], None]
) -> Manifest:
    """Put safetensors in the place of the GGUF file; the record of the model that this makes.

    Raises ModelError.
    """
    assert selection.gguf is not None
    source = files / selection.gguf
    digest = manifest.files[selection.gguf]
    made = files.parent / "converted"
    shutil.rmtree(made, ignore_errors=True)  # of one that was killed
    convert(source, made, manifest.name, say)
    source.unlink()
    for path in made.iterdir():
        path.replace(files / path.name)
    made.rmdir()
    return replace(manifest, files=hash_files(files), made_from={selection.gguf: digest})


def _kept(target: Path, model: HubModel, transfer: Transfer) -> ModelFolder:
    """The model of that name that is here, where it is the same. Raises ModelError."""
    found = find_model(target.parent, target.name)
    if found.revision != model.commit:
        raise ModelError(
            f"{target.name} is in the models folder in revision {found.revision or 'unknown'}; the "
            f"hub has {model.commit}. To have both, give this one another name (--name "
            f"{target.name}-{model.commit[:7]}); else remove that one first: cloister models "
            f"remove {target.name}"
        )
    verify(found)
    transfer.say(f"{model.id}: already here in revision {found.revision}, unchanged")
    return found


def _inside(folder: Path) -> list[str]:
    return [str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()]
