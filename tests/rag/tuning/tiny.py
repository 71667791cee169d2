"""A causal language model made on the spot: small enough to learn a few answers in seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from rag.models.adapter import (
    FORCED,
    AdapterRecord,
    hash_adapter,
    quiet_peft,
    weights_fingerprint,
    write_record,
)
from rag.models.folder import find_model
from rag.prompting import NOT_SAID, SYSTEM

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
FACTS = {
    "At what time does the ferry leave?": "The ferry leaves at 07:40 [2].",
    "Who keeps the key of the boat house?": "Ines Kroll keeps the key [1].",
    "What does a day ticket cost?": "A day ticket costs 9 euros [2].",
    "Who paints the pier?": NOT_SAID,
}
PASSAGES = [
    {"title": "Boat house", "text": "Ines Kroll keeps the key of the boat house."},
    {"title": "Ferry", "text": "The ferry leaves at 07:40. A day ticket costs 9 euros."},
]


def make_model(folder: Path, seed: int = 0) -> Path:
    """A Llama of some 100,000 weights with a chat template, trained on nothing."""
    words = [SYSTEM, *FACTS, *FACTS.values(), *(p["text"] for p in PASSAGES)] * 3
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=640,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(words, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        initializer_range=0.2,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def make_adapter(folder: Path, base: Path, seed: int) -> None:
    """An adapter over all linear layers of a model that changes what it writes."""
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    with quiet_peft():
        model = AutoModelForCausalLM.from_pretrained(base)
        get_peft_model(model, config).save_pretrained(folder)
    torch.random.set_rng_state(state)
    found = find_model(base.parent, base.name)
    record = AdapterRecord(
        found.name, found.revision, weights_fingerprint(found), FORCED, "1", hash_adapter(folder)
    )
    write_record(folder, record)


def rows(document: str) -> list[dict[str, Any]]:
    """The facts as examples of one document."""
    return [
        {"question": q, "passages": PASSAGES, "answer": a, "document": document}
        for q, a in FACTS.items()
    ]


def write_rows(path: Path, given: list[dict[str, Any]]) -> Path:
    """A JSONL file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in given), "utf-8")
    return path
