"""Tokens become text as they come, and the pieces are the whole."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from rag.models.wording import Wording

TEXTS = (
    "Straße, naïve façade – 12 €.",
    "日本語のテキスト と 🙂👩‍🔬🇵🇱 emoji",
    " leading and  double spaces\n\nand lines\n",
    "don't , stop !",
)


@cache
def tokenizer(kind: str) -> Any:
    """A tokenizer of bytes or of pieces with spaces marked, trained on the spot."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    pieces = kind == "pieces"
    own = Tokenizer(models.BPE(unk_token="<unk>" if pieces else None, byte_fallback=pieces))
    if pieces:
        own.pre_tokenizer = pre_tokenizers.Metaspace()
        own.decoder = decoders.Sequence(
            [decoders.ByteFallback(), decoders.Fuse(), decoders.Metaspace()]
        )
    else:
        own.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        own.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<unk>", "<end>"],
        initial_alphabet=[] if pieces else pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    own.train_from_iterator(["a plain text, and another one with words"] * 3, trainer)
    if pieces:  # what has no piece is written as its bytes
        state = json.loads(own.to_str())
        vocabulary = state["model"]["vocab"]
        for byte in range(256):
            vocabulary[f"<0x{byte:02X}>"] = len(vocabulary)
        own = Tokenizer.from_str(json.dumps(state))
    return PreTrainedTokenizerFast(tokenizer_object=own, unk_token="<unk>", eos_token="<end>")


@pytest.mark.parametrize("kind", ["bytes", "pieces"])
@pytest.mark.parametrize("text", TEXTS)
def test_the_pieces_are_the_whole(kind: str, text: str) -> None:
    tokens = tokenizer(kind)
    ids = tokens(text, add_special_tokens=False)["input_ids"]
    whole = tokens.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    wording = Wording(tokens)
    pieces = [wording.add(token) for token in [*ids, tokens.eos_token_id]]
    pieces.append(wording.rest())
    assert "".join(pieces) == whole
    assert not any("\ufffd" in piece for piece in pieces[:-1])
    assert sum(bool(piece) for piece in pieces) > 3


def test_half_a_character_at_the_end_is_shown_as_such() -> None:
    tokens = tokenizer("bytes")
    ids = tokens("ab🙂", add_special_tokens=False)["input_ids"][:-1]
    wording = Wording(tokens)
    assert "".join(wording.add(token) for token in ids) == "ab"
    assert wording.rest() == "\ufffd"
    assert wording.rest() == ""
