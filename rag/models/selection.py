"""Which files of a model are taken: weights without code, and what is needed to read them.

Taken are safetensors (or one GGUF file, which is converted), configurations, tokenizers and
licences. Never taken are pickles and code, whatever they are called.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from rag.errors import ModelError, UsageError
from rag.models.folder import EMBEDDER, LLM, MANIFEST, PICKLES
from rag.models.remote_code import code_needed, json_object

INDEX = "model.safetensors.index.json"
_WHOLE = "model.safetensors"
MODULES = "modules.json"

# read by transformers, tokenizers and sentence-transformers, and without a way to hold code
_PLAIN = re.compile(r".+\.(json|txt|model|tiktoken|jinja)", re.IGNORECASE)
_TOLD = re.compile(r"(licen[cs]e|notice|copying|use_policy|readme)([._-].*)?", re.IGNORECASE)
_LEFT_OUT = re.compile(r"adapter_.*|.*\.index\.json|consolidated.*|params\.json", re.IGNORECASE)
_SPLIT = re.compile(r"-\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)

# the text of a file of the model by its path; None where there is none
Read = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Selection:
    """The files to take, by their paths; `gguf` is the one among them that is to be converted."""

    files: tuple[str, ...]
    gguf: str | None
    task: str


def described(names: Collection[str]) -> list[str]:
    """The files that say what a model is: small, and read before anything else is taken."""
    wanted = ("config.json", "tokenizer_config.json", INDEX, MODULES)
    return [name for name in wanted if name in names]


def licence_files(names: Collection[str]) -> list[str]:
    """The files beside the model that hold its licence."""
    told = [n for n in sorted(names) if "/" not in n and _TOLD.fullmatch(n)]
    return [name for name in told if not name.lower().startswith("readme")]


def select(names: Collection[str], read: Read, model: str, gguf: str | None = None) -> Selection:
    """Choose among a model's files; `gguf` names the GGUF file where there are several.

    Raises ModelError for a model that needs code of its own, has its weights in pickles only, under
    names that nothing finds or has none, UsageError where a GGUF file must be named.
    """
    if reason := code_needed(read, model):
        raise ModelError(reason)
    top = [name for name in names if _visible(name) and "/" not in name]
    plain = [n for n in top if _PLAIN.fullmatch(n) or _TOLD.fullmatch(n)]
    plain = [n for n in plain if not _LEFT_OUT.fullmatch(n) and n != MANIFEST]
    modules = _module_files(names, read)
    task = EMBEDDER if MODULES in names else LLM
    weights = _safetensors(top, read, model) if gguf is None else []
    if not weights and not any(name.endswith(".safetensors") for name in modules):
        chosen = _gguf(top, model, gguf)
        if chosen is None:
            raise ModelError(_why_none(names, model))
        return Selection((*sorted(plain), chosen), chosen, LLM)
    if "config.json" not in top:
        raise ModelError(f"{model} has no config.json: it is no model that transformers reads.")
    # transformers finds weights by this one name or by the index
    index = [INDEX] if INDEX in top and weights != [_WHOLE] else []
    return Selection((*sorted({*plain, *index, *modules}), *weights), None, task)


def _visible(name: str) -> bool:
    """Whether a path is one below the model's folder, and not hidden there."""
    path = PurePosixPath(name)
    return not (path.is_absolute() or any(part.startswith(".") for part in path.parts))


def _safetensors(top: Sequence[str], read: Read, model: str) -> list[str]:
    """The weights: what the index lists, else the one file that is found without an index."""
    if INDEX in top:
        listed = json_object(read(INDEX)).get("weight_map")
        if not isinstance(listed, dict):
            raise ModelError(f"The {INDEX} of {model} is damaged.")
        shards = sorted({str(name) for name in listed.values()})
        missing = [name for name in shards if name not in top or not name.endswith(".safetensors")]
        if missing:
            raise ModelError(f"{model} lacks {missing[0][:80]}, which its {INDEX} lists.")
        return shards
    return [_WHOLE] if _WHOLE in top else []


def _module_files(names: Collection[str], read: Read) -> list[str]:
    """What a sentence-transformers model has in the folders that its `modules.json` names."""
    try:
        listed = json.loads(read(MODULES) or "[]")
    except ValueError:
        listed = []
    folders = {m.get("path") for m in listed if isinstance(m, dict)} if listed else set()
    return sorted(
        name
        for name in names
        if "/" in name
        and name.rpartition("/")[0] in folders
        and _visible(name)
        and (name.endswith(".safetensors") or _PLAIN.fullmatch(name))
    )


def _gguf(top: Sequence[str], model: str, wanted: str | None) -> str | None:
    found = sorted(name for name in top if name.lower().endswith(".gguf"))
    if wanted is not None:
        if wanted not in found:
            raise UsageError(f"{model} has no file {wanted}. It has: {', '.join(found) or 'none'}.")
        found = [wanted]
    if len(found) > 1:
        raise UsageError(
            f"{model} has several GGUF files. Name one with --file: {', '.join(found)}."
        )
    if found and _SPLIT.search(found[0]):
        raise ModelError(
            f"{found[0]} is one part of several, which cannot be converted. Take a model whose "
            "GGUF is one file, or its safetensors."
        )
    return found[0] if found else None


def _why_none(names: Collection[str], model: str) -> str:
    if "adapter_config.json" in names:
        return (
            f"{model} is an adapter, no model. Cloister uses those that "
            "`cloister models finetune` made."
        )
    if found := sorted(n for n in names if "/" not in n and n.endswith(".safetensors")):
        return (
            f"{model} has weights that nothing finds: {found[0][:80]}. They must be one file, "
            f"{_WHOLE}, or be listed in {INDEX}."
        )
    if any(PurePosixPath(name).suffix in PICKLES for name in names):
        return (
            f"{model} has its weights in pickle files only, which could run code. Look for one of "
            "its revisions with safetensors (often under “Community” on its page, as refs/pr/1) "
            "and give it as @REVISION."
        )
    return f"{model} has neither safetensors nor GGUF weights."
