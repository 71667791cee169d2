"""Writes a Llama of a safetensors folder as a GGUF file, as llama.cpp's own converter does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

_CONTROL, _NORMAL = 3, 1
_OF_MODEL = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
_OF_LAYER = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write_gguf(folder: Path, target: Path, pre: str = "smollm", half: bool = False) -> Path:
    """`pre` is llama.cpp's name of the tokenizer's way to cut words; `half` makes it float16."""
    from gguf import GGUFWriter

    config = json.loads((folder / "config.json").read_text("utf-8"))
    writer = GGUFWriter(target, "llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    rope = config.get("rope_parameters") or config
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_vocab_size(config["vocab_size"])
    _add_tokenizer(writer, folder, config, pre)
    for name, array in _tensors(folder, config):
        kind = np.float16 if half and array.ndim > 1 else np.float32
        writer.add_tensor(name, np.ascontiguousarray(array.astype(kind)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def _add_tokenizer(writer: Any, folder: Path, config: dict[str, Any], pre: str) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    special = {t["content"] for t in tokenizer["added_tokens"] if t["special"]}
    ids = tokenizer["model"]["vocab"] | {t["content"]: t["id"] for t in tokenizer["added_tokens"]}
    tokens = sorted(ids, key=lambda token: ids[token])
    merges = tokenizer["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([_CONTROL if token in special else _NORMAL for token in tokens])
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_add_bos_token(False)
    writer.add_chat_template((folder / "chat_template.jinja").read_text("utf-8"))


def _tensors(folder: Path, config: dict[str, Any]) -> Any:
    from safetensors import safe_open

    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    with safe_open(folder / "model.safetensors", "pt") as file:
        for key in file.keys():  # noqa: SIM118 - it is no dict
            array = file.get_tensor(key).float().numpy()
            name = key.removesuffix(".weight")
            for projection, count in heads.items():
                if name.endswith(projection):  # llama.cpp turns pairs that lie side by side
                    rows, columns = array.shape
                    pairs = array.reshape(count, 2, rows // count // 2, columns)
                    array = pairs.swapaxes(1, 2).reshape(rows, columns)
            if name.startswith("model.layers."):
                _, _, number, part = name.split(".", 3)
                name = f"blk.{number}.{_OF_LAYER[part]}"
            else:
                name = _OF_MODEL[name]
            yield f"{name}.weight", array
