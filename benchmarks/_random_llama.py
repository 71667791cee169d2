"""A large model with random weights, made on the device, and what the device's memory allows."""

from __future__ import annotations

import time
from typing import Any

_COPIES = 8


def random_llama(billions: float) -> Any:
    """A model of Llama's shape of about so many billion weights, random, made on the device.

    No token ends its texts, so that as many are written as are asked for, each chosen by its score
    alone: a processor that forbids an end would be run for each row, which no bound knows of.
    """
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    from rag.models.device import pick_device, pick_precision

    scale = (billions / 8) ** (1 / 3)
    heads = max(2, round(32 * scale / 2) * 2)
    config = LlamaConfig(
        vocab_size=128_256 if billions >= 1 else 2_000,
        hidden_size=128 * heads,
        head_dim=128,
        intermediate_size=448 * heads,
        num_hidden_layers=max(2, round(32 * scale)),
        num_attention_heads=heads,
        num_key_value_heads=max(1, heads // 4),
        max_position_embeddings=8192,
        eos_token_id=None,
        bos_token_id=1,
        pad_token_id=0,
    )
    while config.num_attention_heads % config.num_key_value_heads:
        config.num_key_value_heads -= 1
    device = pick_device("auto")
    with torch.device(device):
        return AutoModelForCausalLM.from_config(config, dtype=pick_precision("auto", device)).eval()


def copy_bandwidth(device: Any) -> float:
    """Bytes read and written a second by copies within the device's memory, the best of ten.

    Several follow each other, so that launching them and waiting count for nothing.
    """
    import torch

    size = 2**30 if device.type == "cuda" else 2**26
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    best = 0.0
    for _ in range(10):
        wait(device)
        started = time.perf_counter()
        for _ in range(_COPIES):
            target.copy_(source)
        wait(device)
        best = max(best, 2 * _COPIES * size / (time.perf_counter() - started))
    return best


def wait(device: Any) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
