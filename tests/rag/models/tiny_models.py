"""Tiny models of many architectures with random weights, made on the spot."""

from __future__ import annotations

from functools import cache
from typing import Any

VOCABULARY = 97
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "initializer_range": 0.3,
}
_EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
_FALCON = {"bias": False, "parallel_attn": True}
# name: configuration's class, and what differs
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", {}),
    "mistral": ("MistralConfig", {"sliding_window": 7}),
    "gpt_neox": ("GPTNeoXConfig", {}),
    "falcon_7b": ("FalconConfig", {**_FALCON, "multi_query": True}),
    "falcon_40b": (
        "FalconConfig",
        {**_FALCON, "new_decoder_architecture": True, "num_kv_heads": 2},
    ),
    "falcon_alibi": ("FalconConfig", {**_FALCON, "alibi": True, "parallel_attn": False}),
    "bloom": ("BloomConfig", {"n_layer": 2, "n_head": 4}),
    "olmo": ("OlmoConfig", {}),
    "olmo2": ("Olmo2Config", {}),
    "phi": ("PhiConfig", {}),
    "phi3": ("Phi3Config", {}),
    "qwen3": ("Qwen3Config", {"head_dim": 8}),
    "qwen3_sliding": (
        "Qwen3Config",
        {
            "head_dim": 8,
            "use_sliding_window": True,
            "sliding_window": 6,
            "max_window_layers": 1,
            "layer_types": ["full_attention", "sliding_attention"],
        },
    ),
    "gemma3": (
        "Gemma3TextConfig",
        {
            "head_dim": 8,
            "sliding_window": 6,
            "layer_types": ["sliding_attention", "full_attention"],
            "query_pre_attn_scalar": 8,
        },
    ),
    "mixtral": ("MixtralConfig", _EXPERTS),
    "gpt_oss": (
        "GptOssConfig",
        {
            **_EXPERTS,
            "head_dim": 8,
            "sliding_window": 6,
            "layer_types": ["sliding_attention", "full_attention"],
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        },
    ),
}


@cache
def tiny(name: str) -> Any:
    """A model of `CONFIGS` in float32 that never ends a text by itself before 3 tokens."""
    return make_tiny(name)


def make_tiny(name: str) -> Any:
    """As `tiny`, but with modules of its own, on which no other test hangs anything."""
    import torch
    import transformers

    kind, own = CONFIGS[name]
    config = getattr(transformers, kind)(**(SIZES | own))
    state = torch.random.get_rng_state()
    torch.manual_seed(7)
    with torch.inference_mode(False):  # as a model is loaded
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    torch.random.set_rng_state(state)
    return model
