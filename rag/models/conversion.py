"""Convert a GGUF file once: a folder of bfloat16 safetensors comes out.

Run as a child process (`python -m rag.models.conversion GGUF FOLDER`), so that the memory it takes
is given back: for the starter about 1.5 GB, else some two and a half bytes a parameter. Loading
the starter's GGUF takes about 18 s each time; the converted folder loads in under a second, and
bfloat16 generates several times faster than float32 on processors that have it.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from rag.errors import ModelError
from rag.memory import free_memory

SPECIAL_TOKENS = {"bos": "<|im_start|>", "eos": "<|im_end|>", "pad": "<|im_end|>"}
# a byte-level GGUF names its pre-tokenizer without describing it: those that cut digits apart and
# else cut as GPT-2 does, and those that just do the latter (llama.cpp's llama-vocab.cpp)
_DIGITS = ("smollm", "starcoder", "refact", "codeshell")
_AS_GPT2 = ("gpt-2", "gpt2", "olmo", "phi-2")


def convert(gguf: Path, destination: Path, starter: bool = False) -> None:
    """Write model and tokenizer as a transformers folder. Raises ModelError when that fails.

    A `tokenizer.json` beside the file is taken instead of the tokenizer in it.
    """
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if not starter:
        _check_room(gguf, destination)
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.float32 if starter else torch.bfloat16,
        local_files_only=True,
    )
    if not all(torch.isfinite(weight).all() for weight in model.state_dict().values()):
        raise ModelError(f"{gguf.name} holds weights that are not numbers.")
    context = model.config.max_position_embeddings
    tokenizer = _tokenizer(gguf, context) if starter else _any_tokenizer(gguf, model.config)
    vars(model.config).pop("_model_name_or_path", None)
    model.to(torch.bfloat16).save_pretrained(destination)
    for noise in ("is_local", "local_files_only"):  # how it was loaded, not what it is
        tokenizer.init_kwargs.pop(noise, None)
    tokenizer.save_pretrained(destination)


def _check_room(gguf: Path, destination: Path) -> None:
    from gguf import GGUFReader

    count = sum(math.prod(int(n) for n in t.shape) for t in GGUFReader(gguf).tensors)
    memory, disk = free_memory(), shutil.disk_usage(destination.parent).free
    if memory < 2.5 * count:
        raise ModelError(
            f"it has {count / 1e9:.1f} billion parameters, so {2.5 * count / 1e9:.0f} GB of memory "
            f"are needed, and {memory / 1e9:.0f} GB are free"
        )
    if disk < 2 * count:
        raise ModelError(
            f"{2 * count / 1e9:.0f} GB of disk are needed, {disk / 1e9:.0f} GB are free"
        )


def _any_tokenizer(gguf: Path, config: Any) -> Any:
    """The tokenizer beside the GGUF file, else the one in it.

    Raises ModelError where it is not known how text is cut before its merges, and where it knows
    other tokens than the model or no end of a turn.
    """
    from gguf import GGUFReader
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    if (gguf.parent / "tokenizer.json").is_file():
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, local_files_only=True)
    else:
        tokenizer = AutoTokenizer.from_pretrained(
            gguf.parent, gguf_file=gguf.name, local_files_only=True
        )
        said = GGUFReader(gguf)
        kind, cut = _said(said, "tokenizer.ggml.model"), _said(said, "tokenizer.ggml.pre")
        if kind == "gpt2" and cut in _DIGITS:
            tokenizer.backend_tokenizer.pre_tokenizer = _digits_apart(pre_tokenizers)
        elif kind == "gpt2" and cut not in (*_AS_GPT2, *GGUF_PRE_TOKENIZER_SPLITS):
            raise ModelError(
                f"it is not known how its tokenizer, “{cut or 'unnamed'}”, cuts words apart: put "
                "the tokenizer.json of the original model beside the file"
            )
    if len(tokenizer) > config.vocab_size:
        raise ModelError(
            f"its tokenizer has {len(tokenizer)} tokens, the model {config.vocab_size}"
        )
    if tokenizer.eos_token_id is None:
        raise ModelError("it does not tell the token that ends an answer")
    return tokenizer


def _said(reader: Any, name: str) -> str:
    field = reader.get_field(name)
    return str(field.contents()) if field else ""


def _digits_apart(pre_tokenizers: Any) -> Any:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )


def _tokenizer(gguf: Path, context: int) -> Any:
    """The starter's tokenizer, made equal to the original's. Raises ModelError when it is not.

    A GGUF names its pre-tokenizer without describing it, and transformers takes GPT-2's for it;
    SmolLM2's also cuts digits apart first, which matters after runs of spaces (in tables).
    """
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(
        gguf.parent, gguf_file=gguf.name, local_files_only=True
    )
    tokenizer.backend_tokenizer.pre_tokenizer = _digits_apart(pre_tokenizers)
    tokenizer.model_max_length = context
    for role, token in SPECIAL_TOKENS.items():
        if getattr(tokenizer, f"{role}_token") != token:
            raise ModelError(f"{gguf.name} does not have {token} as its {role} token.")
    if not tokenizer.chat_template:
        raise ModelError(f"{gguf.name} has no chat template.")
    return tokenizer


def main() -> int:
    """The command; errors go to standard error as one line."""
    parser = argparse.ArgumentParser(description=convert.__doc__)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--starter", action="store_true", help="the file is the starter LLM's")
    arguments = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        convert(arguments.gguf, arguments.folder, arguments.starter)
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
