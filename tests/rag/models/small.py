"""Small models of every architecture, made on the spot with a tokenizer of the family's kind.

Each is overfitted to one answer, the token or text that ends it, and something after that which
must never be seen: what is shown and cited is the model's own text, and it ends by itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from torch.nn import functional

from rag.generation import Message
from rag.models.chat import Chat
from rag.prompting import SYSTEM, build_prompt
from rag.records import Passage

CONTEXT = 1024
UNSEEN = "The moon is a cheese."
_STEPS, _ENOUGH = 200, 0.01


@dataclass(frozen=True)
class Family:
    """A family of models: `template` is the form that is to be found for it, `own` a chat template
    of its tokenizer's, `stop` what ends an answer, `before` what the model writes first;
    `four_bits` tells whether transformers has bitsandbytes hold it.
    """

    name: str
    family: str
    config: Callable[[int], Any]
    tokenizer: str
    template: str
    stop: str
    special: tuple[str, ...] = ()
    eos: str = "</s>"
    bos: str | None = None
    own: str = ""
    before: str = ""
    quick: bool = True
    four_bits: bool = True


@dataclass(frozen=True)
class Small:
    """A model's folder, its class, and the tokens of its prompt."""

    folder: Path
    architecture: str
    ids: list[int]


class Maker:
    """Renders prompts as a generator does."""

    prompt_tokens = CONTEXT - 128

    def __init__(self, chat: Chat) -> None:
        self.count = chat.count
        self._chat = chat

    def prompt(self, messages: Iterable[Message]) -> str:
        """The messages in the chat template."""
        return self._chat.prompt([(m.role, m.content) for m in messages])


def make_small(
    family: Family, parent: Path, question: str, passages: list[Passage], answer: str
) -> Small:
    """A model in a folder of its name that answers a question so, and nothing else."""
    folder = parent / family.name
    texts = [SYSTEM, question, answer, UNSEEN, *(p.text for p in passages)]
    tokenizer = make_tokenizer(family, texts)
    tokenizer.save_pretrained(folder)
    config = family.config(len(tokenizer))
    config.eos_token_id = tokenizer.eos_token_id
    config.pad_token_id = tokenizer.eos_token_id
    config.bos_token_id = tokenizer.bos_token_id
    config.save_pretrained(folder)  # its kind helps to tell the template
    chat = Chat(transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True))
    prompt = build_prompt(Maker(chat), question, passages).text
    first, ids = chat.ids(prompt), written(family, chat, answer)
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config)
    overfit(model, model.parameters(), first, ids)
    model.generation_config.pad_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    return Small(folder, type(model).__name__, first)


def written(family: Family, chat: Chat, answer: str) -> list[int]:
    """The tokens that the model shall write: the answer, its end, and what nobody asked for."""
    begun = chat.ids(f"{family.before}{answer}")
    return [*begun, *chat.ids(family.stop), *chat.ids(f" {UNSEEN}")]


def overfit(
    model: Any,
    weights: Iterable[Any],
    prompt: list[int],
    written: list[int],
    rate: float = 1e-2,
) -> None:
    """Train until the model writes these tokens after that prompt."""
    ids, count = torch.tensor([[*prompt, *written]]), len(written)
    optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=0.0)
    model.train()
    for _ in range(_STEPS):
        logits = model(input_ids=ids, use_cache=False).logits[0, -count - 1 : -1]
        loss = functional.cross_entropy(logits.float(), ids[0, -count:])
        if loss.item() < _ENOUGH:
            break
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()


def make_tokenizer(family: Family, texts: list[str]) -> Any:
    """A tokenizer of the family's kind, `byte-level` or `sentencepiece`, for these texts."""
    make = {"byte-level": _byte_level, "sentencepiece": _sentencepiece}[family.tokenizer]
    special = [*dict.fromkeys(filter(None, ["<unk>", family.bos, family.eos, *family.special]))]
    raw = make(texts, special)
    if family.bos:
        bos = (family.bos, raw.token_to_id(family.bos))
        raw.post_processor = processors.TemplateProcessing(
            single=f"{family.bos} $A", pair=f"{family.bos} $A $B", special_tokens=[bos]
        )
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token=family.bos,
        eos_token=family.eos,
        unk_token="<unk>",
        additional_special_tokens=list(family.special),
    )
    tokenizer.chat_template = family.own or None
    return tokenizer


def _byte_level(texts: list[str], special: list[str]) -> Tokenizer:
    """As GPT-2's, Falcon's, BLOOM's, Qwen's and Llama 3's."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=900,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(texts * 3, trainer)
    return raw


def _sentencepiece(texts: list[str], special: list[str]) -> Tokenizer:
    """As Llama's, Mistral's and Gemma's: spaces are part of words, unknown text is bytes."""
    raw = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    raw.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    trainer = trainers.BpeTrainer(vocab_size=700, special_tokens=special, show_progress=False)
    lines = [line for text in texts for line in text.splitlines()]
    raw.train_from_iterator(lines * 3, trainer)
    described = json.loads(raw.to_str())
    vocabulary = described["model"]["vocab"]
    for byte in range(256):
        vocabulary[f"<0x{byte:02X}>"] = len(vocabulary)
    described["model"]["byte_fallback"] = True
    raw = Tokenizer.from_str(json.dumps(described))
    raw.pre_tokenizer = None
    raw.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    raw.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return raw


def _config(kind: str, **more: Any) -> Callable[[int], Any]:
    given = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": CONTEXT,
    } | more
    known = {name: value for name, value in given.items() if value is not None}
    return lambda size: getattr(transformers, kind)(vocab_size=size, **known)


_LLAMA = _config("LlamaConfig")
_MISTRAL = _config("MistralConfig", sliding_window=64)
_FALCON = {"intermediate_size": None, "num_key_value_heads": None, "bias": False, "alibi": False}
_FALCON_7B = _config("FalconConfig", multi_query=True, new_decoder_architecture=False, **_FALCON)
_FALCON_40B = _config("FalconConfig", new_decoder_architecture=True, num_kv_heads=2, **_FALCON)
_NEOX = _config("GPTNeoXConfig", num_key_value_heads=None)
_OPENED = ("<|im_start|>", "<|im_end|>")
_LLAMA_3 = ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
_HARMONY = ("<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|return|>", "<|call|>")
_GEMMA = ("<start_of_turn>", "<end_of_turn>")
_PHI_3 = ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
_GRANITE = ("<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>")
# as Mistral's of version 0.1: it refuses a system role
_MISTRAL_OWN = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/...') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}"
)
# as Gemma 2's
_GEMMA_OWN = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}"
    "{% set role = 'model' if message['role'] == 'assistant' else 'user' %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
# as Qwen 3's, which thinks unless it is told not to
_QWEN_3_OWN = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' }}"
    "{% if message.role == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{{ message.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}"
    "{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)
# as OLMo 2's
_OLMO_2_OWN = (
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>\n' }}"
    "{{ message['content'] }}{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}"
    "{{ '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
_THOUGHT = (
    "<|channel|>analysis<|message|>The passage says five.<|end|><|start|>assistant"
    "<|channel|>final<|message|>"
)

SENTENCEPIECE, BYTE_LEVEL, OWN = "sentencepiece", "byte-level", "own"
_TEXT = {"eos": "<|endoftext|>"}
# its linear layers are a class of their own, which transformers does not give to bitsandbytes
_FALCON_TEXT = _TEXT | {"four_bits": False}
_S = {"bos": "<s>"}


FAMILIES: Mapping[str, Family] = {
    f.name: f
    for f in (
        Family("open_llama_3b", "LLaMA, OpenLLaMA", _LLAMA, SENTENCEPIECE, "plain", "</s>", **_S),
        Family(
            "alpaca-7b", "Alpaca", _LLAMA, SENTENCEPIECE, "alpaca", "\n\n### Instruction:\n", **_S
        ),
        Family("vicuna-7b-v1.5", "Vicuna", _LLAMA, SENTENCEPIECE, "vicuna", "\nUSER: ", **_S),
        Family("Llama-2-7b-chat-hf", "Llama 2", _LLAMA, SENTENCEPIECE, "llama2", "</s>", **_S),
        Family(
            "ELYZA-japanese-Llama-2-7b-instruct",
            "ELYZA Japanese Llama 2",
            _LLAMA,
            SENTENCEPIECE,
            "llama2",
            "[INST]",
            **_S,
            quick=False,
        ),
        Family(
            "LLaMA-Pro-8B-Instruct",
            "LLaMA Pro",
            _LLAMA,
            SENTENCEPIECE,
            "tulu",
            "\n<|user|>\n",
            **_S,
            quick=False,
        ),
        Family(
            "Llama-3.1-8B-Instruct",
            "Llama 3",
            _LLAMA,
            BYTE_LEVEL,
            "llama3",
            "<|eot_id|>",
            _LLAMA_3,
            eos="<|end_of_text|>",
            bos="<|begin_of_text|>",
        ),
        Family(
            "Mistral-7B-Instruct-v0.1",
            "Mistral 7B",
            _MISTRAL,
            SENTENCEPIECE,
            OWN,
            "</s>",
            **_S,
            own=_MISTRAL_OWN,
        ),
        Family(
            "BioMistral-7B",
            "BioMistral",
            _MISTRAL,
            SENTENCEPIECE,
            "mistral",
            "[INST]",
            **_S,
            quick=False,
        ),
        Family(
            "OpenMath-Mistral-7B-v0.1-hf",
            "OpenMath-Mistral",
            _MISTRAL,
            SENTENCEPIECE,
            "openmath",
            "\n\nUser:\n",
            **_S,
            quick=False,
        ),
        Family(
            "zephyr-7b-beta",
            "Zephyr",
            _MISTRAL,
            SENTENCEPIECE,
            "zephyr",
            "\n<|user|>\n",
            **_S,
            quick=False,
        ),
        Family(
            "Mixtral-8x7B-Instruct-v0.1",
            "Mixtral",
            _config("MixtralConfig", num_local_experts=4, num_experts_per_tok=2),
            SENTENCEPIECE,
            "mistral",
            "</s>",
            **_S,
        ),
        Family(
            "falcon-7b-instruct",
            "Falcon 7B (one key for all heads)",
            _FALCON_7B,
            BYTE_LEVEL,
            "falcon",
            "\nUser: ",
            **_FALCON_TEXT,
        ),
        Family(
            "falcon-40b-sft-mix-1226",
            "Falcon 40B (grouped), OpenAssistant",
            _FALCON_40B,
            BYTE_LEVEL,
            "openassistant",
            "<|endoftext|>",
            ("<|prompter|>", "<|assistant|>"),
            **_FALCON_TEXT,
        ),
        Family(
            "falcon-180B-chat",
            "Falcon 180B",
            _FALCON_40B,
            BYTE_LEVEL,
            "falcon-chat",
            "\nUser:",
            **_FALCON_TEXT,
            quick=False,
        ),
        Family(
            "gpt4all-falcon",
            "Falcon 7B, GPT4All",
            _FALCON_7B,
            BYTE_LEVEL,
            "gpt4all",
            "### Instruction:\n",
            **_FALCON_TEXT,
            quick=False,
        ),
        Family(
            "bloomz-7b1",
            "BLOOM, BLOOMZ",
            lambda size: transformers.BloomConfig(
                vocab_size=size, hidden_size=64, n_layer=2, n_head=4
            ),
            BYTE_LEVEL,
            "question",
            "</s>",
            bos=None,
        ),
        Family(
            "OLMo-7B-Instruct",
            "OLMo",
            _config("OlmoConfig"),
            BYTE_LEVEL,
            "tulu",
            "<|endoftext|>",
            **_TEXT,
        ),
        Family(
            "OLMo-2-1124-7B-Instruct",
            "OLMo 2",
            _config("Olmo2Config"),
            BYTE_LEVEL,
            OWN,
            "<|endoftext|>",
            **_TEXT,
            own=_OLMO_2_OWN,
        ),
        Family(
            "Olmo-3-7B-Instruct",
            "OLMo 3",
            _config("Olmo3Config", sliding_window=64),
            BYTE_LEVEL,
            "chatml",
            "<|im_end|>",
            _OPENED,
            **_TEXT,
            quick=False,
        ),
        Family(
            "dolly-v2-3b",
            "Dolly 2",
            _NEOX,
            BYTE_LEVEL,
            "dolly",
            "\n\n### End",
            ("### End", "### Instruction:", "### Response:"),
            **_TEXT,
        ),
        Family(
            "oasst-sft-4-pythia-12b",
            "OpenAssistant",
            _NEOX,
            BYTE_LEVEL,
            "openassistant",
            "<|endoftext|>",
            ("<|prompter|>", "<|assistant|>"),
            **_TEXT,
            quick=False,
        ),
        Family(
            "phi-1_5",
            "Phi-1.5",
            _config("PhiConfig", num_key_value_heads=None),
            BYTE_LEVEL,
            "question",
            "\n\nQuestion: ",
            **_TEXT,
        ),
        Family(
            "phi-2",
            "Phi-2",
            _config("PhiConfig", num_key_value_heads=None),
            BYTE_LEVEL,
            "phi2",
            "\nInstruct: ",
            **_TEXT,
            quick=False,
        ),
        Family(
            "Phi-3-mini-4k-instruct",
            "Phi-3",
            _config("Phi3Config", pad_token_id=0),
            SENTENCEPIECE,
            "phi3",
            "<|end|>",
            _PHI_3,
            bos="<s>",
            eos="<|endoftext|>",
            quick=False,
        ),
        Family(
            "gpt-oss-20b",
            "gpt-oss",
            _config(
                "GptOssConfig",
                head_dim=16,
                num_local_experts=4,
                num_experts_per_tok=2,
                sliding_window=64,
            ),
            BYTE_LEVEL,
            "harmony",
            "<|return|>",
            _HARMONY,
            **_TEXT,
            before=_THOUGHT,
        ),
        Family(
            "Qwen2.5-7B-Instruct",
            "Qwen 2",
            _config("Qwen2Config"),
            BYTE_LEVEL,
            "chatml",
            "<|im_end|>",
            _OPENED,
            **_TEXT,
            quick=False,
        ),
        Family(
            "Qwen3-8B",
            "Qwen 3",
            _config("Qwen3Config", head_dim=16),
            BYTE_LEVEL,
            OWN,
            "<|im_end|>",
            _OPENED,
            **_TEXT,
            own=_QWEN_3_OWN,
        ),
        Family(
            "gemma-2-9b-it",
            "Gemma 2",
            _config("Gemma2Config", head_dim=16, sliding_window=64),
            SENTENCEPIECE,
            OWN,
            "<end_of_turn>",
            _GEMMA,
            bos="<bos>",
            eos="<eos>",
            own=_GEMMA_OWN,
            quick=False,
        ),
        Family(
            "gemma-3-1b-it",
            "Gemma 3",
            _config("Gemma3TextConfig", head_dim=16, sliding_window=64),
            SENTENCEPIECE,
            "gemma",
            "<end_of_turn>",
            _GEMMA,
            bos="<bos>",
            eos="<eos>",
        ),
        Family(
            "granite-3.3-8b-instruct",
            "Granite 3",
            _config("GraniteConfig"),
            BYTE_LEVEL,
            "granite",
            "<|end_of_text|>",
            _GRANITE,
            **_TEXT,
            quick=False,
        ),
        Family(
            "SmolLM3-3B",
            "SmolLM3",
            _config("SmolLM3Config", pad_token_id=0),
            BYTE_LEVEL,
            "chatml",
            "<|im_end|>",
            _OPENED,
            **_TEXT,
            quick=False,
        ),
    )
}
