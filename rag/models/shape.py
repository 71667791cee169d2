"""What a model's `config.json` tells of its size: weights, attention cache, activations.

The model is built from the configuration on torch's `meta` device, which has shapes and no
memory, by the same class that loads it: so the numbers are those of the class, and no weights are
needed. A step on two tokens there shows what each kind of layer keeps of a token.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from rag.errors import ModelError

CONFIG = "config.json"

_MOST_BYTES = 8_000_000
_MOST = 2**31 - 1
# of what a model has one module each: more would be built for hours
_MOST_MODULES = 16_384
_COUNTED = ("layer", "depth", "expert", "block", "loops")
# what would have transformers run code or fetch kernels, or load what is packed differently
_LEFT_OUT = ("auto_map", "attn_implementation", "quantization_config", "use_kernels", "model_type")
_TOKENS = 2


@dataclass(frozen=True, slots=True)
class CacheLayers:
    """Layers that keep the same of a sequence: `each` numbers a token, of `window` tokens at most.

    `fixed` is what a layer keeps whatever the length, in bytes. A window of 0 is none.
    """

    count: int
    each: int
    window: int = 0
    fixed: int = 0


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a causal language model, in numbers (not bytes) where nothing else is said.

    `linear` counts those of the parameters that 8-bit and 4-bit quantizers pack, the weights of
    linear layers but the output's, and `linear_rows` their rows. `single` counts parameters that
    stay float32 in any precision, `buffers` are bytes. `fused` is the largest tensor that is put
    together of several of a file's (a layer's experts), 0 without one. `window` is the context
    length that it was made for, 0 where the configuration does not tell. `inner` is the width of
    the widest layer that one token goes through, `scores` how many attention scores it keeps for
    each token before it (0 where attention keeps none).
    """

    kind: str
    parameters: int
    linear: int
    linear_rows: int
    single: int
    buffers: int
    fused: int
    vocabulary: int
    hidden: int
    inner: int
    scores: int
    layers: int
    window: int
    cache: tuple[CacheLayers, ...]


def read_config(folder: Path) -> dict[str, Any]:
    """The `config.json` of a model's folder. Raises ModelError where there is none to be read."""
    file = folder / CONFIG
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise ValueError("it is too large")
        config = json.loads(file.read_text("utf-8"))
        if not isinstance(config, dict):
            raise ValueError("it is no object")
    except FileNotFoundError as error:
        raise ModelError(
            f"{folder.name} is no model's folder: it has no {CONFIG}. Name a model's folder."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(
            f"The {CONFIG} of the model {folder.name} cannot be read: {reason}. Fetch it again."
        ) from error
    return config


def shape_of(config: Mapping[str, Any]) -> Shape:
    """The sizes that a `config.json` stands for. No weights are read, and no code but that here.

    Raises ModelError where transformers has no causal language model of its kind, or where it has
    none of these sizes.
    """
    try:
        return _shape(json.dumps(config, sort_keys=True))
    except (TypeError, ValueError, RecursionError) as error:
        raise _wrong(str(error)) from error


@lru_cache(maxsize=64)
def _shape(text: str) -> Shape:
    from huggingface_hub.errors import StrictDataclassError

    from rag.models.device import be_quiet

    config = json.loads(text)
    _check_numbers(config)
    be_quiet()
    try:
        return _measured(config)
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        ImportError,
        LookupError,
        MemoryError,
        OSError,
        RuntimeError,
        StrictDataclassError,
        TypeError,
        ValueError,
    ) as error:
        raise _wrong(str(error) or type(error).__name__) from error


def _wrong(reason: str) -> ModelError:
    return ModelError(
        f"The {CONFIG} describes no model that can be loaded here: "
        f"{' '.join(reason.split())[:300]}. Fetch the model again, or name another one."
    )


def _check_numbers(value: Any, name: str = "") -> None:
    """Raises ModelError for numbers of which no model could be built, or only in hours."""
    if isinstance(value, dict):
        for key, one in value.items():
            _check_numbers(one, str(key))
    elif isinstance(value, list):
        for one in value:
            _check_numbers(one, name)
    elif isinstance(value, int) and not isinstance(value, bool):
        modules = any(word in name for word in _COUNTED)
        if abs(value) > (_MOST_MODULES if modules else _MOST):
            raise _wrong(f"{name[:60]} is {str(value)[:20]}")


def _measured(config: Mapping[str, Any]) -> Shape:
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    made = _transformers_config(config)
    model = _on_meta(made)
    text = made.get_text_config(decoder=True)
    output = model.get_output_embeddings()
    kept = {id(p) for p in output.parameters()} if output is not None else set()
    packed = [
        module.weight
        for module in model.modules()
        if (type(module) is nn.Linear or isinstance(module, Conv1D))
        and id(module.weight) not in kept
    ]
    parameters = list(model.parameters())
    layers, hidden = int(text.num_hidden_layers), int(text.hidden_size)
    if min(layers, hidden, int(text.vocab_size)) < 1:
        raise ValueError("it has no layers, no width or no vocabulary")
    eager = model.config._attn_implementation == "eager"
    return Shape(
        kind=str(config["model_type"]),
        parameters=sum(p.numel() for p in parameters),
        linear=sum(weight.numel() for weight in packed),
        linear_rows=sum(weight.shape[0] for weight in packed),
        single=sum(p.numel() for p in parameters if p.element_size() == 4),
        buffers=sum(b.numel() * b.element_size() for b in model.buffers()),
        fused=max((p.numel() for p in parameters if p.dim() > 2 and _experts(text) > 1), default=0),
        vocabulary=int(text.vocab_size),
        hidden=hidden,
        inner=_inner(text, hidden),
        scores=int(getattr(text, "num_attention_heads", 0) or 0) if eager else 0,
        layers=layers,
        window=_context(text),
        cache=_cache(made, model),
    )


def _inner(text: Any, hidden: int) -> int:
    """The numbers that one token is in the widest layer, those of all its experts together."""
    names = ("intermediate_size", "ffn_hidden_size", "n_inner", "ffn_dim")
    wide = next(
        (v for n in names if isinstance(v := getattr(text, n, None), int) and v), 4 * hidden
    )
    if (experts := _experts(text)) > 1:
        chosen = int(getattr(text, "num_experts_per_tok", 1) or 1)
        alone = int(getattr(text, "moe_intermediate_size", 0) or wide)
        return max(hidden, min(experts, chosen) * alone)
    return max(hidden, wide)


def _experts(text: Any) -> int:
    names = ("num_local_experts", "num_experts", "n_routed_experts")
    return next((v for n in names if isinstance(v := getattr(text, n, None), int) and v), 0)


def _transformers_config(config: Mapping[str, Any]) -> Any:
    """The configuration as transformers has it. Raises ModelError for a kind that it has not."""
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        said = f"the kind {kind[:60]!r}" if isinstance(kind, str) else "no kind (model_type)"
        raise ModelError(
            f"The {CONFIG} names {said}, which this version of transformers does not know. Take a "
            "model of another kind; remote code is never run."
        )
    plain = _plain(config)
    made = AutoConfig.for_model(kind, **plain)
    if type(made) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise ModelError(
            f"A model of the kind {kind} writes no text: it is no causal language model. Name an "
            "LLM."
        )
    return made


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration, and those within it, without what would choose code to run."""
    return {
        key: {"model_type": value.get("model_type"), **_plain(value)}
        if isinstance(value, dict) and "model_type" in value
        else value
        for key, value in config.items()
        if not key.startswith("_") and key not in _LEFT_OUT
    }


def _on_meta(made: Any) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(made, dtype=torch.bfloat16).eval()


def _context(text: Any) -> int:
    """The context length of a configuration; 0 where it does not tell."""
    for name in ("max_position_embeddings", "n_positions", "seq_length", "max_seq_len"):
        if isinstance(value := getattr(text, name, None), int) and value > 0:
            return value
    return 0


def _cache(made: Any, model: Any) -> tuple[CacheLayers, ...]:
    """What each layer keeps: those that begin alike are stepped through once, on a short model."""
    kinds = _kinds(made)
    first = {kind: number for number, kind in reversed(list(enumerate(kinds)))}
    length = max(first.values(), default=-1) + 1
    try:
        kept = _layers(_shortened(made, length)) if 0 < length < len(kinds) else []
    except (AttributeError, LookupError, TypeError, ValueError):
        kept = []  # a kind whose number of layers cannot be changed alone
    if len(kept) < length or length == 0:
        return _grouped(_whole(made, model))
    return _grouped(kept[first[kind]] for kind in kinds)


def _whole(made: Any, model: Any) -> list[CacheLayers]:
    """What each layer keeps; at most two numbers of the model's width where no step tells."""
    try:
        return _layers(model)
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        text = made.get_text_config(decoder=True)
        return [CacheLayers(1, 2 * int(text.hidden_size))] * int(text.num_hidden_layers)


def _shortened(made: Any, length: int) -> Any:
    """The model of a configuration with its first layers only."""
    short = copy.deepcopy(made)
    text = short.get_text_config(decoder=True)
    text.num_hidden_layers = length
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[:length]
    return _on_meta(short)


def _kinds(made: Any) -> list[tuple[str, int]]:
    """The kind of each layer's cache and its window, as transformers makes it from the config."""
    from transformers import DynamicCache

    return [
        (type(layer).__name__, int(getattr(layer, "sliding_window", 0) or 0))
        for layer in DynamicCache(config=made).layers
    ]


def _grouped(layers: Iterable[CacheLayers]) -> tuple[CacheLayers, ...]:
    counted = Counter(layers)
    return tuple(replace(layer, count=count) for layer, count in counted.items())


def _layers(model: Any) -> list[CacheLayers]:
    """What each layer's cache holds after a step on two tokens. Raises ValueError without one."""
    import torch

    with torch.no_grad():
        ids = torch.zeros(1, _TOKENS, dtype=torch.long, device="meta")
        cache = getattr(model(input_ids=ids, use_cache=True), "past_key_values", None)
    if cache is None or not hasattr(cache, "layers"):
        raise ValueError("it keeps no attention cache, so that it cannot be run here")
    return [_layer(layer) for layer in cache.layers]


def _layer(layer: Any) -> CacheLayers:
    """Keys and values grow with each token; whatever else a layer holds is of a fixed size."""
    import torch

    grows = [getattr(layer, name, None) for name in ("keys", "values")]
    grown = [tensor for tensor in grows if isinstance(tensor, torch.Tensor)]
    states = [t for value in vars(layer).values() for t in _tensors(value) if t.dim() > 1]
    return CacheLayers(
        count=1,
        each=sum(t.numel() for t in grown) // _TOKENS,
        window=int(getattr(layer, "sliding_window", 0) or 0),
        fixed=sum(
            t.numel() * t.element_size() for t in states if all(t is not one for one in grown)
        ),
    )


def _tensors(value: Any) -> list[Any]:
    import torch

    values = value.values() if isinstance(value, dict) else value
    values = values if isinstance(value, dict | list | tuple) else [value]
    return [one for one in values if isinstance(one, torch.Tensor)]
