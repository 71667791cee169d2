"""A LoRA adapter's folder: found by name, made for one base, checked before it is merged.

It holds `adapter_config.json` and `adapter_model.safetensors` as peft writes them, and beside them
`cloister-adapter.json`: for which base it was made, whether it may be used, both files' SHA-256.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rag.checkpoints import write_text
from rag.errors import ModelError
from rag.models.folder import (
    ModelFolder,
    each_folder,
    fingerprint,
    hash_files,
    read_manifest,
    sha256,
)

RECORD = "cloister-adapter.json"
CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"

# adapters that come with Cloister, each a folder
SHIPPED = Path(__file__).parent / "adapters"
# in place of a name: the one that comes with Cloister for the model, if there is one; or none
AUTO, NONE = "auto", "none"

# what `usable` may be
BETTER, FORCED, NO = "better", "forced", "no"

_AGAIN = "Make it again with `cloister models finetune`, or copy its folder again"


@dataclass(frozen=True, slots=True)
class AdapterRecord:
    """What `cloister-adapter.json` says.

    `base_weights` is a fingerprint of the base's safetensors files, so that the same weights count
    as the same base whatever else lies in its folder. `usable` is `better` where the adapter was
    better than its base on the held-out part, `forced` where a person allowed it nevertheless, or
    `no`. `made_of` tells what went into it, `scores` what came out.
    """

    base: str
    base_revision: str
    base_weights: str
    usable: str
    prompt_version: str
    files: dict[str, str]
    made_of: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter on disk. `revision` is 12 hex digits of the SHA-256 of its weights."""

    path: Path
    name: str
    revision: str
    record: AdapterRecord

    @property
    def id(self) -> str:
        """Its name and revision, as an answer names it."""
        return f"{self.name}@{self.revision}"

    @property
    def shipped(self) -> bool:
        """Whether it comes with Cloister."""
        return self.path.parent == SHIPPED


def find_adapter(models_path: Path, name_or_path: str) -> Adapter:
    """The adapter of a name in the models folder or of one that comes with Cloister, or of a path.

    Its files are as they were made. Raises ModelError where there is none, or where a file of it is
    missing or was changed.
    """
    for path in (models_path / name_or_path, SHIPPED / name_or_path, Path(name_or_path)):
        if path.is_dir():
            return _described(path)
    raise ModelError(
        f"The adapter {name_or_path} is not in the models folder. Set llm.adapter to an adapter's "
        "folder, to auto or to none; `cloister models finetune` makes one."
    )


def pick_adapter(models_path: Path, wanted: str, base: ModelFolder) -> Adapter | None:
    """The adapter that `llm.adapter` names, made for `base`; None for `none` or nothing.

    `auto`: the one that comes with Cloister for exactly these weights, None without one. Raises
    ModelError where it is missing, altered, of another model or may not be used.
    """
    if wanted in ("", NONE):
        return None
    if wanted != AUTO:
        adapter = find_adapter(models_path, wanted)
        check_adapter(adapter, base)
        return adapter
    for path, record in _shipped():
        if record.base_weights == weights_fingerprint(base):
            return _described(path)
    return None


def shipped_for(base: ModelFolder) -> Adapter | None:
    """As `pick_adapter` with `auto`, by recorded checksums alone: nothing is hashed.

    None too for a model without recorded ones. Raises ModelError for a damaged record.
    """
    manifest = read_manifest(base.path)
    if manifest is None:
        return None
    weights = _of_weights(manifest.files)
    for path, record in _shipped():
        if record.base_weights == weights:
            return _as_recorded(path, record)
    return None


def adapter_bytes(models_path: Path, wanted: str, base: Path) -> int:
    """The bytes of the weights of the adapter that `wanted` names; 0 for none.

    Nothing is hashed, and nothing said where it is of another model than `base` or else wrong:
    loading it will.
    """
    if wanted in ("", NONE):
        return 0
    paths = [models_path / wanted, SHIPPED / wanted, Path(wanted)]
    try:
        if wanted == AUTO:
            shipped = shipped_for(ModelFolder(base, base.name, "", "", ""))
            paths = [shipped.path] if shipped else []
        return next((p / WEIGHTS).stat().st_size for p in paths if p.is_dir())
    except (OSError, StopIteration, ModelError):
        return 0


def is_shipped(name: str) -> bool:
    """Whether an adapter of this name comes with Cloister."""
    return any(path.name == name for path, _ in _shipped())


def list_adapters(models_path: Path, damaged: Callable[[ModelError], None]) -> list[Adapter]:
    """Every adapter in the models folder, by name, then those of Cloister; nothing is hashed.

    `damaged` hears of each whose record is damaged, and which is left out. One in the models folder
    stands for one of Cloister's of the same name.
    """

    def recorded(path: Path) -> Adapter | None:
        record = read_record(path)
        return _as_recorded(path, record) if record else None

    found = each_folder(models_path, recorded, damaged)
    names = {adapter.path.name for adapter in found}
    shipped = [_as_recorded(path, record) for path, record in _shipped() if path.name not in names]
    return [*found, *shipped]


def adapters_of(adapters: Iterable[Adapter], base: ModelFolder) -> list[Adapter]:
    """Those that were made for a model of this name and may be used; no weights are compared."""
    names = (base.name, base.path.name)
    return [one for one in adapters if one.record.usable != NO and one.record.base in names]


def check_adapter(adapter: Adapter, base: ModelFolder) -> None:
    """Raises ModelError for an adapter of another base, and for one that may not be used."""
    record = adapter.record
    if record.base_weights != weights_fingerprint(base):
        raise ModelError(
            f"The adapter {adapter.name} was made for {record.base} (revision "
            f"{record.base_revision}), not for the weights of {base.name} (revision "
            f"{base.revision}). Set llm.adapter to one that was made for this model, or to none."
        )
    if record.usable not in (BETTER, FORCED):
        raise ModelError(
            f"The adapter {adapter.name} may not be used: on what was held out from its training "
            "it was not better than its base. To use it nevertheless, give its command again with "
            "--force; else set llm.adapter to none."
        )


def weights_fingerprint(base: ModelFolder) -> str:
    """12 hex digits over a model's safetensors files. Hashes them where they are not recorded."""
    manifest = read_manifest(base.path)
    return _of_weights(manifest.files if manifest else hash_files(base.path))


def read_record(path: Path) -> AdapterRecord | None:
    """The folder's `cloister-adapter.json`, or None without one. Raises ModelError if damaged."""
    file = path / RECORD
    if not file.is_file():
        return None
    try:
        record = AdapterRecord(**json.loads(file.read_text("utf-8")))
        texts = (record.base, record.base_revision, record.base_weights, record.usable)
        objects = (record.files, record.made_of, record.scores)
        if not all(isinstance(value, dict) for value in objects):
            raise ValueError("an object is none")
        if not all(isinstance(text, str) for text in (*texts, *record.files.values())):
            raise ValueError("a text is none")
        if set(record.files) != {CONFIG, WEIGHTS}:
            raise ValueError("files")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ModelError(
            f"The {RECORD} of the adapter {path.name} is damaged. {_AGAIN}."
        ) from error
    return record


def write_record(path: Path, record: AdapterRecord) -> None:
    """Write `cloister-adapter.json` whole or not at all; it makes the folder an adapter.

    Raises StorageError.
    """
    write_text(path / RECORD, json.dumps(asdict(record), indent=2) + "\n")


def hash_adapter(path: Path) -> dict[str, str]:
    """The SHA-256 of an adapter's two files. Raises ModelError where one cannot be read."""
    return {name: sha256(path / name) for name in (CONFIG, WEIGHTS)}


def put_adapter(model: Any, path: Path, merge: bool = True) -> Any:
    """The model with an adapter: with `merge` its weights are added to the model's own, so that it
    costs no more to run; without, as for quantized weights, which would be rounded again, they
    stay beside them, in layers within the model itself, whose class is kept.

    Raises ModelError where they do not fit, or where some are missing: peft would only warn, and
    leave random numbers in their place.
    """
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors import SafetensorError, safe_open

    try:
        with quiet_peft():
            merged = PeftModel.from_pretrained(
                model, path, local_files_only=True, torch_device=str(model.device)
            )
            # else peft asks a hub whether the base's vocabulary was changed
            wanted = set(get_peft_model_state_dict(merged, save_embedding_layers=False))
            with safe_open(path / WEIGHTS, "pt") as file:
                missing = sorted(wanted - set(file.keys()))
            if missing:
                raise ValueError(f"its file {WEIGHTS} lacks {missing[0]} (in all {len(missing)})")
            return merged.merge_and_unload() if merge else merged.get_base_model()
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError) as error:
        reason = str(error).replace(str(path), path.name).strip()[:300]
        raise ModelError(
            f"The adapter {path.name} cannot be loaded: {reason}. {_AGAIN}, or set llm.adapter to "
            "none."
        ) from error


@contextmanager
def quiet_peft() -> Iterator[None]:
    """No warning of what peft calls by its old name in transformers, of keys it misses, nor of the
    experts of a mixture, which are no linear layers and get no adapter.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.filterwarnings("ignore", "Found missing adapter keys")
        warnings.filterwarnings("ignore", "The following (rank|alpha)_pattern keys did not match")
        yield


def _of_weights(files: dict[str, str]) -> str:
    return fingerprint({name: d for name, d in files.items() if name.endswith(".safetensors")})


def _shipped() -> Iterator[tuple[Path, AdapterRecord]]:
    for path in sorted(SHIPPED.glob("*/")):
        if record := read_record(path):
            yield path, record


def _described(path: Path) -> Adapter:
    record = read_record(path)
    if record is None:
        raise ModelError(
            f"{path.name} is no adapter's folder: it has no {RECORD}. `cloister models finetune` "
            "makes one."
        )
    _compare(path, record.files)
    _check_config(path)
    return _as_recorded(path, record)


def _as_recorded(path: Path, record: AdapterRecord) -> Adapter:
    return Adapter(path, path.resolve().name, record.files[WEIGHTS][:12], record)


def _compare(path: Path, files: Mapping[str, str]) -> None:
    for name, digest in files.items():
        if not (path / name).is_file():
            raise ModelError(f"The adapter {path.name} lacks its file {name}. {_AGAIN}.")
        if sha256(path / name) != digest:
            raise ModelError(
                f"The file {name} of the adapter {path.name} was changed or is damaged: its "
                f"SHA-256 is not the recorded one. {_AGAIN}."
            )


def _check_config(path: Path) -> None:
    """Nothing but a LoRA adapter: other kinds may stand for code of their own."""
    try:
        kind = json.loads((path / CONFIG).read_text("utf-8")).get("peft_type")
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"The {CONFIG} of the adapter {path.name} is damaged.") from error
    if kind != "LORA":
        raise ModelError(f"The adapter {path.name} is of the kind {kind}; only LoRA is used.")
