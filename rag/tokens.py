"""Where an embedder cuts a text into tokens, so that chunks can be measured exactly."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from rag.errors import ModelError

# from a text to the character span of each of its tokens
Offsets = Callable[[str], list[tuple[int, int]]]

# what an embedder that does not say reads of a text, as all-MiniLM does beside its two marks
LIMIT = 254
_ADVICE = "Fetch the model again, or name another one."
# a plugged-in embedder does not show its tokenizer: pieces of four characters are about as many
_PIECE = re.compile(r"\w{1,4}|[^\w\s]")


def tokenizer_offsets(folder: Path) -> Offsets:
    """The tokenizer of a model folder: the character span of each token, none of them special.

    Raises ModelError where the folder holds no `tokenizer.json` that can be read.
    """
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ModelError(f"The model folder “{folder.name}” has no tokenizer.json. {_ADVICE}")
    try:
        tokenizer = Tokenizer.from_str(path.read_text("utf-8"))
    except Exception as error:  # the library raises Exception itself
        raise ModelError(
            f"tokenizer.json of “{folder.name}” cannot be read: {error}. {_ADVICE}"
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def offsets(text: str) -> list[tuple[int, int]]:
        # as one of many: alone, it would hold the interpreter's lock, for which the embedder waits
        found = tokenizer.encode_batch([text], add_special_tokens=False)
        spans: list[tuple[int, int]] = found[0].offsets
        return spans

    return offsets


def guessed_offsets(text: str) -> list[tuple[int, int]]:
    """Pieces of up to four characters: at least as many as common tokenizers make."""
    return [match.span() for match in _PIECE.finditer(text)]
