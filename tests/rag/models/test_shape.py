"""Sizes from config.json alone, against models that are really built and caches really kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache

from rag.errors import ModelError, UsageError
from rag.models import device
from rag.models.fit import cache_tokens, needed
from rag.models.int8 import to_int8
from rag.models.shape import read_config, shape_of

_TINY: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_TEXT = {**_TINY, "model_type": "gemma3_text", "num_key_value_heads": 2, "head_dim": 8}
CONFIGS: dict[str, dict[str, Any]] = {
    "llama": {**_TINY, "model_type": "llama", "num_key_value_heads": 2},
    "llama tied": {**_TINY, "model_type": "llama", "tie_word_embeddings": True},
    "mistral": {
        **_TINY,
        "model_type": "mistral",
        "num_key_value_heads": 2,
        "sliding_window": 16,
    },
    "mixtral": {
        **_TINY,
        "model_type": "mixtral",
        "num_key_value_heads": 2,
        "num_local_experts": 4,
    },
    "falcon multi-query": {
        **_TINY,
        "model_type": "falcon",
        "multi_query": True,
        "new_decoder_architecture": False,
        "bias": False,
        "alibi": False,
    },
    "falcon grouped": {
        **_TINY,
        "model_type": "falcon",
        "num_kv_heads": 2,
        "new_decoder_architecture": True,
        "bias": False,
        "alibi": False,
    },
    "bloom": {
        "model_type": "bloom",
        "vocab_size": 96,
        "hidden_size": 32,
        "n_layer": 3,
        "n_head": 4,
        "pad_token_id": 0,
    },
    "olmo": {**_TINY, "model_type": "olmo"},
    "olmo2": {**_TINY, "model_type": "olmo2"},
    "gpt_neox": {**_TINY, "model_type": "gpt_neox"},
    "phi": {**_TINY, "model_type": "phi"},
    "phi3": {**_TINY, "model_type": "phi3"},
    "qwen3": {**_TINY, "model_type": "qwen3", "num_key_value_heads": 2, "head_dim": 16},
    "gemma3": {**_TEXT, "sliding_window": 16, "num_hidden_layers": 7},
    "gpt_oss": {
        **_TINY,
        "model_type": "gpt_oss",
        "num_key_value_heads": 2,
        "head_dim": 8,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "sliding_window": 16,
    },
}
_CONTEXT = 40


def build(config: dict[str, Any]) -> Any:
    kind = config["model_type"]
    given = {k: v for k, v in config.items() if k != "model_type"}
    made = AutoConfig.for_model(kind, **given)
    return AutoModelForCausalLM.from_config(made, dtype=torch.bfloat16).eval()


@pytest.mark.parametrize("name", CONFIGS)
def test_parameters_and_cache_are_those_of_the_built_model(name: str) -> None:
    config = CONFIGS[name]
    model = build(config)
    shape = shape_of(config)
    assert shape.parameters == sum(p.numel() for p in model.parameters())
    need = needed(config, "bfloat16", _CONTEXT, 1, "cpu")
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    assert need.weights == weights + sum(b.numel() * b.element_size() for b in model.buffers())
    cache = DynamicCache(config=model.config)
    with torch.no_grad():
        model(
            input_ids=torch.ones(1, _CONTEXT, dtype=torch.long),
            past_key_values=cache,
            use_cache=True,
        )
    # a window's layer keeps a view of all that it was given in one piece
    kept = {t.untyped_storage().data_ptr(): t for c in cache.layers for t in (c.keys, c.values)}
    taken = sum(t.untyped_storage().nbytes() for t in kept.values())
    assert need.cache * _CONTEXT == taken * cache_tokens(_CONTEXT, 1)


def test_a_window_saves_nothing_in_the_engine_s_cache() -> None:
    config = {**CONFIGS["mistral"], "sliding_window": 16}
    full = {**config, "sliding_window": None}
    for context in (5_000, 50_000):
        cache = needed(config, "bfloat16", context, 1, "cpu").cache
        assert cache == needed(full, "bfloat16", context, 1, "cpu").cache
        assert cache >= 3 * 2 * 2 * 8 * 2 * context


def test_one_prompt_is_read_at_a_time() -> None:
    config = {**CONFIGS["llama"], "hidden_size": 1024, "intermediate_size": 4096}
    one, eight = (needed(config, "bfloat16", 1000, n, "cpu").overhead for n in (1, 8))
    assert eight - one == 7 * 3 * 4 * 96


def test_a_bound_of_the_cache_leaves_room_for_one_question() -> None:
    free, small, large = (
        needed(CONFIGS["llama"], "float32", 1000, 8, "cpu", cache_bytes=n).cache
        for n in (0, 1, 2**40)
    )
    assert large == free > 7 * small
    assert small >= 3 * 2 * 16 * 4 * 1000
    between = (small + free) // 2
    bound = needed(CONFIGS["llama"], "float32", 1000, 8, "cpu", cache_bytes=between)
    assert bound.cache == between


def test_the_text_model_of_one_that_sees_decides_the_cache() -> None:
    vision = {
        "model_type": "siglip_vision_model",
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    }
    config = {
        "model_type": "gemma3",
        "text_config": _TEXT,
        "vision_config": vision,
        "mm_tokens_per_image": 4,
    }
    seeing, text = shape_of(config), shape_of(_TEXT)
    assert seeing.cache == text.cache
    assert seeing.parameters > text.parameters
    assert seeing.parameters == sum(p.numel() for p in build(config).parameters())


def test_memory_grows_with_what_it_should() -> None:
    config = CONFIGS["llama"]
    tokens = 9 * 256
    one = needed(config, "bfloat16", tokens, 1, "cpu")
    assert needed(config, "bfloat16", 2 * tokens, 1, "cpu").cache == 2 * one.cache
    assert needed(config, "bfloat16", tokens, 3, "cpu").cache == 3 * one.cache
    assert needed(config, "float32", tokens, 1, "cpu").cache == 2 * one.cache
    assert one.weights < needed(config, "float32", tokens, 1, "cpu").weights
    assert one.total == one.weights + one.cache + one.overhead <= one.peak


def test_packing_leaves_embeddings_norms_and_the_output_as_they_are() -> None:
    config = CONFIGS["llama"]
    shape = shape_of(config)
    layer = 32 * (32 + 16 + 16 + 32) + 3 * 32 * 48
    assert shape.linear == 3 * layer
    rest = 2 * (shape.parameters - shape.linear) + shape.buffers
    rows = 3 * (32 + 16 + 16 + 32 + 48 + 48 + 32)
    assert needed(config, "int8", 9, 1, "cuda:0").weights == 3 * layer + 4 * rows + rest
    bits = 4 + 8 / 64 + 32 / (64 * 256)
    assert needed(config, "int4", 9, 1, "cuda:0").weights == int(3 * layer * bits / 8) + rest


@pytest.mark.parametrize("pays", [True, False])
def test_eight_bits_on_a_processor_are_loaded_whole(
    pays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "_bfloat16_pays", lambda: pays)
    model = build(CONFIGS["llama"])
    model = model if pays else model.float()
    whole, need = _bytes(model), needed(CONFIGS["llama"], "int8", 9, 1, "cpu")
    to_int8(model)
    assert need.weights == _bytes(model)
    plain = needed(CONFIGS["llama"], "bfloat16" if pays else "float32", 9, 1, "cpu")
    assert need.cache == plain.cache
    # to_int8 holds a layer until the last one is packed
    packed = shape_of(CONFIGS["llama"]).linear
    assert need.loading >= plain.loading + packed > whole + packed


def _bytes(model: Any) -> int:
    tensors = [*model.parameters(), *model.buffers()]
    return sum(t.numel() * t.element_size() for t in tensors)


def test_all_experts_are_loaded() -> None:
    few, many = ({**CONFIGS["mixtral"], "num_local_experts": n} for n in (4, 8))
    experts = 3 * 4 * (3 * 32 * 48 + 32)  # the router has a row for each
    assert shape_of(many).parameters - shape_of(few).parameters == experts


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"model_type": None},
        {"model_type": 3},
        {"model_type": "made-up"},
        {"model_type": ["llama"]},
        {"model_type": "clip"},
        {**_TINY, "model_type": "llama", "hidden_size": 0},
        {**_TINY, "model_type": "llama", "hidden_size": "32"},
        {**_TINY, "model_type": "llama", "hidden_size": None},
        {**_TINY, "model_type": "llama", "hidden_size": 2**60},
        {**_TINY, "model_type": "llama", "num_attention_heads": 0},
        {**_TINY, "model_type": "llama", "num_hidden_layers": 10**9},
        {**_TINY, "model_type": "llama", "num_hidden_layers": 0},
        {**_TINY, "model_type": "llama", "num_hidden_layers": -1},
        {**_TINY, "model_type": "llama", "vocab_size": -5},
        {**_TINY, "model_type": "llama", "vocab_size": 1.5},
        {**_TINY, "model_type": "llama", "rope_parameters": "none"},
        {**_TINY, "model_type": "mixtral", "num_local_experts": 10**7},
        {"model_type": "gemma3", "text_config": "large"},
        {"model_type": "gemma3", "text_config": {"num_hidden_layers": 10**8}},
        {**_TINY, "model_type": "llama", "hidden_act": "os.system"},
    ],
)
def test_a_config_that_describes_no_model_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ModelError) as raised:
        shape_of(config)
    assert "config.json" in str(raised.value) or "writes no text" in str(raised.value)


def test_a_config_chooses_no_code() -> None:
    evil = {
        "auto_map": {"AutoModelForCausalLM": "modeling.Evil"},
        "_attn_implementation": "someone/kernels",
        "attn_implementation": "someone/kernels",
        "quantization_config": {"quant_method": "unheard-of"},
        "use_kernels": True,
    }
    assert shape_of({**CONFIGS["llama"], **evil}) == shape_of(CONFIGS["llama"])


@pytest.mark.parametrize(
    ("precision", "context", "concurrency"),
    [("int3", 1, 1), ("float32", 0, 1), ("float32", 1, 0), ("float32", -1, 1)],
)
def test_wrong_requests(precision: str, context: int, concurrency: int) -> None:
    with pytest.raises(UsageError):
        needed(CONFIGS["llama"], precision, context, concurrency, "cpu")


def test_config_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        read_config(tmp_path)
    for text in ("", "[]", "{", "null", "[" * 100_000, "\udcff"):
        (tmp_path / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(ModelError, match=r"config\.json .* cannot be read"):
            read_config(tmp_path)
    (tmp_path / "config.json").write_text(" " * 8_000_001)
    with pytest.raises(ModelError, match="too large"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(_TEXT))
    assert read_config(tmp_path) == _TEXT
