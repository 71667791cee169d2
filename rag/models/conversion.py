"""Convert the starter LLM once: GGUF in, a folder of bfloat16 safetensors out.

Run as a child process (`python -m rag.models.conversion GGUF FOLDER`), so that the memory it
takes, about 1.5 GB, is given back. Loading the GGUF takes about 18 s each time; the converted
folder loads in under a second, and bfloat16 generates several times faster than float32 on
processors that have it.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from rag.errors import ModelError

SPECIAL_TOKENS = {"bos": "<|im_start|>", "eos": "<|im_end|>", "pad": "<|im_end|>"}


def convert(gguf: Path, destination: Path) -> None:
    """Write model and tokenizer as a transformers folder. Raises ModelError when that fails."""
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.float32,
        local_files_only=True,
    )
    if not all(torch.isfinite(weight).all() for weight in model.state_dict().values()):
        raise ModelError(f"{gguf.name} holds weights that are not numbers.")
    tokenizer = _tokenizer(gguf, model.config.max_position_embeddings)
    vars(model.config).pop("_model_name_or_path", None)
    model.to(torch.bfloat16).save_pretrained(destination)
    tokenizer.save_pretrained(destination)


def _tokenizer(gguf: Path, context: int) -> Any:
    """The GGUF's tokenizer, made equal to the original's. Raises ModelError when it is not.

    A GGUF names its pre-tokenizer without describing it, and transformers takes GPT-2's for it;
    SmolLM2's also cuts digits apart first, which matters after runs of spaces (in tables).
    """
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(
        gguf.parent, gguf_file=gguf.name, local_files_only=True
    )
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.model_max_length = context
    for noise in ("is_local", "local_files_only"):  # how it was loaded, not what it is
        tokenizer.init_kwargs.pop(noise, None)
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
    arguments = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        convert(arguments.gguf, arguments.folder)
    except (ModelError, OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
