"""A model that was carried in: a folder, an archive or a GGUF file becomes one of the library's.

So does an adapter that `cloister models finetune` made.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from rag.errors import ModelError, NotFound, UsageError
from rag.models.adapter import CONFIG, NO, RECORD, WEIGHTS, find_adapter, hash_adapter
from rag.models.consent import UNKNOWN, Ask, Licence, accept, now
from rag.models.folder import (
    MANIFEST,
    Manifest,
    ModelFolder,
    fingerprint,
    hash_files,
    read_manifest,
    verify,
)
from rag.models.leftovers import clear_removed
from rag.models.pulling import converted
from rag.models.selection import licence_files, select
from rag.models.staging import ADDING, appear, check_space, folder_name, publish, staged
from rag.models.unpacking import SUFFIXES, unpack
from rag.models.weights import SUFFIX, check_weights
from rag.settings import Settings

_CARD_LICENCE = re.compile(r"^license(?:_name)?:[ \t]*[\"']?([\w.+-]+)[\"']?[ \t]*$", re.MULTILINE)
_CARD = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Carried:
    """What to add. `licence` is what whoever carried it in says its licence is, `accepts` what a
    program says that it accepts; `gguf` names one of several GGUF files."""

    path: Path
    name: str | None = None
    licence: str | None = None
    accepts: str | None = None
    gguf: str | None = None


def add(
    settings: Settings, carried: Carried, say: Callable[[str], None], ask: Ask | None
) -> ModelFolder:
    """Copy a model into the models folder, with the checks and the record of a pulled one.

    Raises NotFound, ModelError (damaged, code, pickles only, changed since its own record was
    made), UsageError (name, licence not accepted), StorageError, Busy.
    """
    path = carried.path.expanduser()
    if not path.exists():
        raise NotFound(f"There is no file or folder {path}.")
    name = carried.name or _name_of(path)
    target = settings.models_path / folder_name(name)
    settings.models_path.mkdir(parents=True, exist_ok=True)
    clear_removed(settings.models_path)
    if target.exists():
        raise ModelError(
            f"{target.name} is in the models folder already. Remove it first (cloister models "
            f"remove {target.name}), or give this one another name: --name"
        )
    with staged(settings.models_path, f"{ADDING}{target.name}", keep=False) as files:
        return _take(carried, path, files, target, name, say, ask)


def _take(
    carried: Carried,
    path: Path,
    files: Path,
    target: Path,
    name: str,
    say: Callable[[str], None],
    ask: Ask | None,
) -> ModelFolder:
    archive = path.name.lower().endswith(SUFFIXES) and path.is_file()
    if archive:
        say(f"{path.name}: unpacking …")
    root = _place(path, files.parent / "unpacked" if archive else None)
    if (root / RECORD).is_file() and not (root / "config.json").is_file():
        return _take_adapter(root, files, target, say)
    own = read_manifest(root) if root != path.parent or path.is_dir() else None
    if own:
        verify(ModelFolder(root, own.name, own.revision, own.licence, own.task))
    names = _names(root) if root != path.parent or path.is_dir() else [path.name]
    gguf = path.name if names == [path.name] else carried.gguf
    selection = select(names, lambda file: _text(root / file), name, gguf)
    for file in selection.files:
        if not os.access(root / file, os.R_OK):
            raise ModelError(f"{file} of {path.name} cannot be read. Check its owner and mode.")
        if file.endswith(SUFFIX):
            check_weights(root / file, file, path.name)
    licence = _licence(carried, root, names, own, name)
    by, at = accept(licence, carried.accepts, ask)
    size = sum((root / file).stat().st_size for file in selection.files)
    check_space(files, (0 if archive else size) + (4 * size if selection.gguf else 0), name)
    say(f"{name}: taking {len(selection.files)} files, {size / 1e6:,.0f} MB …")
    for file in selection.files:
        (files / file).parent.mkdir(parents=True, exist_ok=True)
        take = shutil.move if archive else shutil.copyfile
        take(root / file, files / file)
    hashes = hash_files(files)
    if own and any(own.files.get(file) not in (None, digest) for file, digest in hashes.items()):
        raise ModelError(f"{path.name} was changed while it was read. Try again.")
    manifest = Manifest(
        name=carried.name or (own.name if own else name),
        task=own.task if own else selection.task,
        revision=own.revision if own else fingerprint(hashes),
        licence=licence.name,
        source=own.source if own else f"carried in: {path.name}",
        download_bytes=size,
        files=hashes,
        made_from=own.made_from if own else {},
        licence_url=licence.url,
        accepted_by=by,
        accepted_at=at,
        fetched_at=now(),
    )
    if selection.gguf:
        manifest = converted(files, selection, manifest, say)
        manifest = replace(manifest, revision=fingerprint(manifest.files))
    return publish(files, target, manifest)


def _place(path: Path, unpacked: Path | None) -> Path:
    """The folder that holds what was carried in; an archive's is made at `unpacked`."""
    if unpacked:
        return _root_of(_unpacked(path, unpacked), path.name)
    if path.is_dir():
        return _root_of(path, path.name)
    if path.suffix.lower() == ".gguf":
        return path.parent
    raise UsageError(
        f"{path.name} is no folder, no archive ({', '.join(SUFFIXES)}) and no GGUF file."
    )


def _take_adapter(root: Path, files: Path, target: Path, say: Callable[[str], None]) -> ModelFolder:
    """Copy an adapter with its card. Raises ModelError where it is not as it was made."""
    record = find_adapter(root.parent, str(root.resolve())).record
    told = [file.name for file in root.iterdir() if file.suffix in (".json", ".md")]
    taken = [name for name in {WEIGHTS, *told} if (root / name).is_file() and name[0] != "."]
    check_space(files, sum((root / name).stat().st_size for name in taken), target.name)
    for name in taken:
        shutil.copyfile(root / name, files / name)
    if hash_adapter(files) != record.files:
        raise ModelError(f"{root.name} was changed while it was read. Try again.")
    appear(files, target)
    say(
        f"{target.name} is an adapter for {record.base}. "
        + (
            "It was not better than its base, so it may not be used."
            if record.usable == NO
            else f"Use it: cloister models use {record.base} --adapter {target.name}"
        )
    )
    return ModelFolder(
        target, target.name, record.files[WEIGHTS][:12], f"for {record.base}", "adapter"
    )


def _unpacked(archive: Path, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    unpack(archive, folder)
    return folder


def _root_of(folder: Path, told: str) -> Path:
    """The folder of the model: that itself, or the one below it that holds one."""
    for depth in ("", "*/", "*/*/"):
        found = {
            path.parent
            for pattern in ("config.json", "*.gguf", RECORD)
            for path in folder.glob(depth + pattern)
            if path.parent.name[:1] != "."
        }
        if len(found) > 1:
            listed = ", ".join(sorted(path.name for path in found)[:5])
            raise UsageError(f"{told} holds several models: {listed}. Add one of them at a time.")
        if found:
            return found.pop()
    if (folder / CONFIG).is_file():
        raise ModelError(
            f"{told} is an adapter, no model, and has no {RECORD}. Cloister uses those that "
            "`cloister models finetune` made."
        )
    raise ModelError(f"{told} holds no model: there is no config.json and no GGUF file in it.")


def _names(root: Path) -> list[str]:
    return sorted(
        file.relative_to(root).as_posix()
        for file in root.rglob("*")
        if file.is_file() and file.name != MANIFEST
    )


def _name_of(path: Path) -> str:
    """A name for the model, of its folder or file."""
    name = path.resolve().name
    for suffix in (*SUFFIXES, ".gguf"):
        if path.is_file() and name.lower().endswith(suffix):
            name = name[: -len(suffix)]
    return name


def _licence(
    carried: Carried, root: Path, names: list[str], own: Manifest | None, name: str
) -> Licence:
    """The licence: as its record, else as the person who carried it in, else as its card says."""
    text = "\n\n".join(_text(root / file) or "" for file in licence_files(names)).strip()
    if own:
        return Licence(name, own.licence, own.licence_url, text)
    card = _CARD.search(_text(root / "README.md") or "" if "README.md" in names else "")
    found = _CARD_LICENCE.findall(card[1]) if card else []
    stated = next((word for word in reversed(found) if word != "other"), "")
    return Licence(name, carried.licence or stated or UNKNOWN, "", text)


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8") if path.is_file() else None
    except (OSError, ValueError):
        return None
