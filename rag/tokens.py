"""Where an embedder cuts a text into tokens, so that chunks can be measured exactly."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

Offsets = Callable[[str], list[tuple[int, int]]]

# a plugged-in embedder does not show its tokenizer: pieces of four characters are about as many
_PIECE = re.compile(r"\w{1,4}|[^\w\s]")


def tokenizer_offsets(folder: Path) -> Offsets:
    """The tokenizer of a model folder: the character span of each token, none of them special."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def offsets(text: str) -> list[tuple[int, int]]:
        spans: list[tuple[int, int]] = tokenizer.encode(text, add_special_tokens=False).offsets
        return spans

    return offsets


def guessed_offsets(text: str) -> list[tuple[int, int]]:
    """Pieces of up to four characters: at least as many as common tokenizers make."""
    return [match.span() for match in _PIECE.finditer(text)]
