"""A model's folder: found by name, known by its checksums, verified before it is loaded.

A folder that Cloister fetched holds `cloister-model.json` with a SHA-256 of each file. A folder
without one works too; it is then known by a fingerprint of what lies in it now.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import TypeVar

from rag.errors import ModelError
from rag.files import hash_of
from rag.models.remote_code import code_needed

T = TypeVar("T")

MANIFEST = "cloister-model.json"
EMBEDDER, LLM = "embedder", "llm"
NOT_USABLE = "no"

_STARTER_HINT = "Fetch the starter pair with `make setup` or `cloister models add starter`"
PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}
_UNREAD = {".md", ""}  # no loader reads these: they may lie there unlisted


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model on disk. `revision` is 12 hex digits or the hub's; "" where it is not recorded."""

    path: Path
    name: str
    revision: str
    licence: str
    task: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `cloister-model.json` says; `files` maps each path below the folder to its SHA-256.

    `source` is a hub's address with the id and commit, a package, or the name of what was carried
    in. `made_from` has the SHA-256 of the file that these were converted from, where they were.
    `usable` tells of a tuned embedder whether it may be used (`better`, `forced` or `no`).
    `accepted_by` is the account of the system that accepted the licence; times are ISO 8601, UTC.
    """

    name: str
    task: str
    revision: str
    licence: str
    source: str
    download_bytes: int
    files: dict[str, str]
    made_from: dict[str, str] = field(default_factory=dict)
    licence_url: str = ""
    accepted_by: str = ""
    accepted_at: str = ""
    fetched_at: str = ""
    usable: str = ""


def find_model(models_path: Path, name_or_path: str) -> ModelFolder:
    """The folder of a model: a name in the models folder, a fetched hub id, or a path.

    A hub id is `org/name` or `org/name@revision`, and lies at `org--name`; `name` alone finds it
    too where it is the only one so called. Raises ModelError when it is not there, is no model, or
    has another revision.
    """
    name, _, revision = name_or_path.partition("@")
    if name.strip(". ") == "":
        raise ModelError("No model is named. Set llm.model and embedder.model to a model folder.")
    for path in model_paths(models_path, name_or_path):
        if path.is_dir():
            found = _describe(path, known=True)
            if revision and found.revision != revision and path != Path(name_or_path):
                raise ModelError(
                    f"The model {name} is here in revision {found.revision}, not {revision}. "
                    "Fetch that revision, or leave “@…” out of the setting."
                )
            return found
    raise ModelError(
        f"The model {name_or_path} is not in the models folder. {_STARTER_HINT}; "
        "put any other model's folder there, or set its path."
    )


def model_paths(models_path: Path, name_or_path: str) -> tuple[Path, ...]:
    """Where a model of that name may lie, in the order in which they are looked at."""
    name = name_or_path.partition("@")[0]
    here = models_path / name, models_path / name.replace("/", "--")
    return *here, *of_an_organisation(models_path, name), Path(name_or_path)


def of_an_organisation(models_path: Path, name: str) -> tuple[Path, ...]:
    """The one folder of a hub id that ends in this name; empty where there are several, or none."""
    if not name or "/" in name or "--" in name or not models_path.is_dir():
        return ()
    found = [
        path
        for path in models_path.iterdir()
        if path.name[0] != "." and path.name.partition("--")[2] == name and path.is_dir()
    ]
    return tuple(found) if len(found) == 1 else ()


def list_models(models_path: Path, damaged: Callable[[ModelError], None]) -> list[ModelFolder]:
    """Every model in the models folder, by name; nothing is hashed.

    `damaged` hears of each whose record is damaged, and which is left out.
    """
    return each_folder(
        models_path, lambda path: _describe(path, known=False) if _is_model(path) else None, damaged
    )


def each_folder(
    models_path: Path, read: Callable[[Path], T | None], damaged: Callable[[ModelError], None]
) -> list[T]:
    """What `read` makes of each folder in the models folder, by name; None of it is left out."""
    if not models_path.is_dir():
        return []
    found = []
    for path in sorted(p for p in models_path.iterdir() if p.is_dir() and p.name[0] != "."):
        try:
            if (one := read(path)) is not None:
                found.append(one)
        except ModelError as error:
            damaged(error)
    return found


def verify(folder: ModelFolder) -> None:
    """Hash every file and compare it with `cloister-model.json`.

    Raises ModelError for a tuned model that may not be used, for a changed, missing or unlisted
    file, for weights in pickle files, which could run code, and for a model that needs code of its
    own. Without a `cloister-model.json` only the latter two are checked.
    """
    found = {_relative(path, folder.path): path for path in _files(folder.path)}
    suffixes = {path.suffix for path in found.values()}
    if suffixes & PICKLES and ".safetensors" not in suffixes:
        raise ModelError(
            f"The model {folder.name} has its weights in pickle files only, which could run code. "
            "Use its safetensors files."
        )
    if reason := code_needed(lambda name: _text(found.get(name)), folder.name):
        raise ModelError(reason)
    manifest = read_manifest(folder.path)
    if manifest is None:
        return
    if manifest.usable == NOT_USABLE:
        raise ModelError(
            f"The model {folder.name} was tuned, and was not better than its base on what was held "
            "out, so it may not be used. Use another one, or give the command that made it with "
            "--force."
        )
    advice = "Remove its folder and fetch it again."
    for name, digest in manifest.files.items():
        if name not in found:
            raise ModelError(f"The model {folder.name} lacks its file {name}. {advice}")
        if sha256(found[name]) != digest:
            raise ModelError(
                f"The file {name} of the model {folder.name} was changed or is damaged: its "
                f"SHA-256 is not the recorded one. {advice}"
            )
    for name, path in found.items():
        if name not in manifest.files and path.suffix.lower() not in _UNREAD:
            raise ModelError(
                f"The model {folder.name} has a file that was not fetched with it: {name}. "
                "Remove that file, or remove the folder and fetch the model again."
            )


def fingerprint(files: dict[str, str]) -> str:
    """12 hex digits of a SHA-256 over the sorted (path, SHA-256) of a folder's files."""
    lines = "".join(f"{name}\0{digest}\n" for name, digest in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:12]


def hash_files(path: Path) -> dict[str, str]:
    """The SHA-256 of each file below `path`, hidden ones and `cloister-model.json` left out."""
    return {_relative(file, path): sha256(file) for file in _files(path)}


def sha256(path: Path) -> str:
    """A file's SHA-256 in hex. Raises ModelError when it cannot be read."""
    try:
        return hash_of(path)
    except OSError as error:
        raise ModelError(f"The file {path.name} cannot be read: {error.strerror}.") from error


def read_manifest(path: Path) -> Manifest | None:
    """The folder's `cloister-model.json`, or None without one. Raises ModelError if damaged."""
    file = path / MANIFEST
    if not file.is_file():
        return None
    try:
        manifest = Manifest(**json.loads(file.read_text("utf-8")))
        hashes = [*manifest.files.values(), *manifest.made_from.values()]
        if not all(isinstance(value, str) for value in hashes):
            raise ValueError("files")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(
            f"The {MANIFEST} of the model {path.name} is damaged. "
            "Remove its folder and fetch it again."
        ) from error
    return manifest


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write `cloister-model.json`; the folder's other files must be in place."""
    (path / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2) + "\n", "utf-8")


def _describe(path: Path, known: bool) -> ModelFolder:
    """A folder as a record; `known` says to hash it where its revision is not recorded."""
    manifest = read_manifest(path)
    if manifest:
        return ModelFolder(path, manifest.name, manifest.revision, manifest.licence, manifest.task)
    if not _is_model(path):
        raise ModelError(f"{path.name} is no model's folder: it has no config.json.")
    task = EMBEDDER if (path / "modules.json").is_file() else LLM
    revision = fingerprint(hash_files(path)) if known else ""
    return ModelFolder(path, path.name.replace("--", "/", 1), revision, "unknown", task)


def _is_model(path: Path) -> bool:
    return any((path / name).is_file() for name in (MANIFEST, "config.json", "modules.json"))


def _files(path: Path) -> Iterator[Path]:
    for file in sorted(path.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
        if file.is_file() and not hidden and file != path / MANIFEST:
            yield file


def _text(path: Path | None) -> str | None:
    try:
        return path.read_text("utf-8") if path else None
    except (OSError, ValueError):
        return None


def _relative(file: Path, folder: Path) -> str:
    return str(PurePosixPath(file.relative_to(folder)))
