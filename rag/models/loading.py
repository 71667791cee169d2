"""A causal language model from its folder, in a precision, with an adapter."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rag.errors import ModelError
from rag.models.adapter import put_adapter
from rag.models.device import be_quiet, pick_precision, told_if_not_loaded

log = logging.getLogger("cloister.models")

INT8, INT4 = "int8", "int4"
_BITS = {INT8: 8, INT4: 4}
# what transformers needs to read a checkpoint that was quantized by its makers
_READERS: Mapping[str, tuple[str, ...]] = {
    "gptq": ("gptqmodel", "optimum"),
    "awq": ("gptqmodel",),
    "bitsandbytes": ("bitsandbytes",),
    "compressed-tensors": ("compressed_tensors",),
    "torchao": ("torchao",),
    "hqq": ("hqq",),
    "quanto": ("optimum.quanto",),
    "auto-round": ("auto_round",),
}
# a mixture of experts may be left mostly as it is
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model, its tokenizer, and how its weights are quantized: None where they are not."""

    model: Any
    tokenizer: Any
    quantization: str | None


def load_causal(folder: Path, place: str, precision: str, adapter: Path | None = None) -> Loaded:
    """The model of a folder on a device. Never contacts a hub, never runs remote code.

    `precision` is what `pick_precision` takes, `int8` or `int4`. Raises ModelError where it does
    not load, is quantized already, or where a package for that is missing.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    be_quiet()
    bits, made = _BITS.get(precision), _quantized_by(folder)
    if bits and made:
        raise ModelError(
            f"The LLM {folder.name} is quantized already ({made}). Set llm.precision to auto."
        )
    _need(_READERS.get(made or "", ()), f"The LLM {folder.name} is quantized ({made})")
    own = bits == 8 and place == "cpu"
    if bits and not own:
        _need(("bitsandbytes",), f"llm.precision {precision} on the device {place}")
    compute = pick_precision("auto" if bits else precision, place)
    given: dict[str, Any] = {"dtype": compute}
    if bits and not own:
        given |= {"quantization_config": _bitsandbytes(bits, compute)}
    if made or (bits and not own):
        given |= {"device_map": {"": place}}
    with told_if_not_loaded("LLM", folder, ImportError):
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model, report = AutoModelForCausalLM.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            **given,
        )
        if report["missing_keys"]:  # they would be random numbers
            raise ValueError("its files hold no causal language model")
        if "device_map" not in given:
            model = model.to(place)
        elif bits and not _is_held(model):
            own = _without(folder, bits)
    if adapter:
        model = put_adapter(model, adapter, merge="device_map" not in given)
    if own:
        from rag.models.int8 import to_int8

        share = to_int8(model)
        if share < _HALF:
            log.info("%s: %.0f %% of the weights are in 8 bits", folder.name, 100 * share)
    return Loaded(model.eval(), tokenizer, precision if bits else made)


def _is_held(model: Any) -> bool:
    """Whether bitsandbytes holds a layer: transformers leaves some linear layers out, silently."""
    kinds = {type(module).__name__ for module in model.modules()}
    return not kinds.isdisjoint(("Linear4bit", "Linear8bitLt"))


def _without(folder: Path, bits: int) -> bool:
    """True where our own layers can do what bitsandbytes did not. Raises ModelError else."""
    if bits == 8:
        return True
    raise ModelError(
        f"The LLM {folder.name} has no layers that bitsandbytes can hold in {bits} bits. Set "
        "llm.precision to int8 or auto."
    )


def _quantized_by(folder: Path) -> str | None:
    """The method by which a checkpoint's makers quantized it, as its config.json says."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        method = (config.get("quantization_config") or {}).get("quant_method")
    except (OSError, ValueError, AttributeError):
        return None  # what is wrong with it is told when it is loaded
    return str(method) if method else None


def _need(packages: tuple[str, ...], what: str) -> None:
    """Raises ModelError where one of the packages is not installed."""
    for name in packages:
        if not _installed(name):
            command = f"pip install {name.replace('_', '-').replace('.', '-')}"
            if name == "bitsandbytes":
                command = "python -m tools.setup --extra quantized"
            raise ModelError(
                f"{what}: that needs the package {name}, which is not installed. Install it "
                f"(`{command}`), or set llm.precision or llm.model to another one."
            )


def _installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _bitsandbytes(bits: int, compute: Any) -> Any:
    """8 bits by LLM.int8() (Dettmers et al. 2022), 4 by NF4 (QLoRA, Dettmers et al. 2023)."""
    from transformers import BitsAndBytesConfig

    if bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
    )
