"""Models of many architectures with random weights, made on the spot to be weighed."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

# some 150 to 250 million parameters each: two layers or a few, and as wide as that needs
_ROPE = {"max_position_embeddings": 4096}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "Llama, grouped": {
        "model_type": "llama",
        "vocab_size": 32000,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 8,
        "num_attention_heads": 16,
        "num_key_value_heads": 4,
        **_ROPE,
    },
    "Mistral, window of 256": {
        "model_type": "mistral",
        "vocab_size": 32000,
        "hidden_size": 1024,
        "intermediate_size": 3584,
        "num_hidden_layers": 10,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "sliding_window": 256,
        **_ROPE,
    },
    "Mixtral, 8 experts": {
        "model_type": "mixtral",
        "vocab_size": 32000,
        "hidden_size": 768,
        "intermediate_size": 2048,
        "num_hidden_layers": 4,
        "num_attention_heads": 12,
        "num_key_value_heads": 4,
        "num_local_experts": 8,
        **_ROPE,
    },
    "Falcon, multi-query (7B)": {
        "model_type": "falcon",
        "vocab_size": 65024,
        "hidden_size": 1088,
        "num_hidden_layers": 8,
        "num_attention_heads": 17,
        "multi_query": True,
        "parallel_attn": True,
        "new_decoder_architecture": False,
        "bias": False,
        "alibi": False,
    },
    "Falcon, grouped (40B)": {
        "model_type": "falcon",
        "vocab_size": 65024,
        "hidden_size": 1024,
        "num_hidden_layers": 8,
        "num_attention_heads": 16,
        "num_kv_heads": 4,
        "new_decoder_architecture": True,
        "bias": False,
        "alibi": False,
    },
    "BLOOM": {
        "model_type": "bloom",
        "vocab_size": 100352,
        "hidden_size": 1024,
        "n_layer": 6,
        "n_head": 16,
    },
    "OLMo": {
        "model_type": "olmo",
        "vocab_size": 50304,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 6,
        "num_attention_heads": 16,
        "tie_word_embeddings": False,
    },
    "OLMo 2": {
        "model_type": "olmo2",
        "vocab_size": 50304,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 6,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
    },
    "GPT-NeoX": {
        "model_type": "gpt_neox",
        "vocab_size": 50432,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 6,
        "num_attention_heads": 16,
    },
    "Phi": {
        "model_type": "phi",
        "vocab_size": 51200,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 6,
        "num_attention_heads": 16,
        **_ROPE,
    },
    "Phi 3": {
        "model_type": "phi3",
        "vocab_size": 32064,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 8,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
        "pad_token_id": 0,
        **_ROPE,
    },
    "Qwen 3": {
        "model_type": "qwen3",
        "vocab_size": 151936,
        "hidden_size": 768,
        "intermediate_size": 2304,
        "num_hidden_layers": 8,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 128,
        "tie_word_embeddings": True,
        **_ROPE,
    },
    "Gemma 3, text": {
        "model_type": "gemma3_text",
        "vocab_size": 131072,
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 4,
        "num_key_value_heads": 1,
        "head_dim": 256,
        "sliding_window": 256,
        **_ROPE,
    },
    "Gemma 3, with its eye": {
        "model_type": "gemma3",
        "text_config": {
            "model_type": "gemma3_text",
            "vocab_size": 131072,
            "hidden_size": 768,
            "intermediate_size": 2048,
            "num_hidden_layers": 7,
            "num_attention_heads": 4,
            "num_key_value_heads": 1,
            "head_dim": 256,
            "sliding_window": 256,
            **_ROPE,
        },
        "vision_config": {
            "model_type": "siglip_vision_model",
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_hidden_layers": 4,
            "num_attention_heads": 12,
            "image_size": 448,
            "patch_size": 14,
        },
        "mm_tokens_per_image": 64,
    },
    "gpt-oss, 8 experts": {
        "model_type": "gpt_oss",
        "vocab_size": 50304,
        "hidden_size": 768,
        "intermediate_size": 768,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "num_key_value_heads": 4,
        "head_dim": 64,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
        "sliding_window": 128,
        **_ROPE,
    },
}
_SPECIAL = ["<|pad|>", "<|begin|>", "<|end|>"]


def make_model(config: dict[str, Any], folder: Path, scale: int = 1) -> None:
    """A model of a configuration in a folder, in bfloat16, with a tokenizer as large.

    With `scale` it is that much narrower.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    given = narrowed(config, scale)
    made = AutoConfig.for_model(given.pop("model_type"), **given)
    for one in (made, made.get_text_config()):
        one.pad_token_id, one.bos_token_id, one.eos_token_id = 0, 1, 2
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(made, dtype=torch.bfloat16)
    model.to_empty(device="cpu").tie_weights()
    some = torch.randn(1 << 16, generator=torch.Generator().manual_seed(0)).bfloat16() * 0.02
    for weights in model.parameters():
        flat = weights.data.view(-1)
        for start in range(0, len(flat), len(some)):
            piece = flat[start : start + len(some)]
            piece.copy_(some[: len(piece)])
    model.save_pretrained(folder)
    byte_tokenizer(made.get_text_config().vocab_size).save_pretrained(folder)


def narrowed(config: dict[str, Any], scale: int) -> dict[str, Any]:
    """The configuration, with smaller layers and a smaller vocabulary."""
    if scale == 1:
        return dict(config)
    smaller = ("vocab_size", "intermediate_size", "num_hidden_layers", "n_layer")
    return {
        key: narrowed(value, scale)
        if isinstance(value, dict)
        else max(2, value // scale)
        if key in smaller
        else value
        for key, value in config.items()
    }


def byte_tokenizer(size: int) -> Any:
    """A tokenizer of `size` tokens: three special ones, the bytes, and pairs and triples of bytes.

    What is merged is beyond ASCII, so that in a plain text each character is a token.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    rare = [letter for letter in letters if not letter.isascii()]
    pairs = list(product(rare, rare))
    merges = [*pairs, *((left + right, more) for (left, right), more in product(pairs, rare))]
    merges = merges[: max(0, size - len(letters) - len(_SPECIAL))]
    tokens = [*_SPECIAL, *letters, *(left + right for left, right in merges)]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    raw = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    pad, begin, end = _SPECIAL
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token=pad, bos_token=begin, eos_token=end, unk_token=pad
    )


def make_adapter(base: Path, folder: Path) -> None:
    """A LoRA adapter with random weights for a Llama's linear layers, of rank 16, to be merged."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from rag.models.adapter import (
        FORCED,
        AdapterRecord,
        hash_adapter,
        weights_fingerprint,
        write_record,
    )
    from rag.models.folder import ModelFolder

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    recipe = LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM")
    get_peft_model(model, recipe).save_pretrained(folder)
    known = ModelFolder(base, base.name, "", "", "")
    record = AdapterRecord(
        base.name, "", weights_fingerprint(known), FORCED, "", hash_adapter(folder)
    )
    write_record(folder, record)
