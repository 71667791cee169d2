"""A question and contexts as tokens, as the reader is given them when it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.reading.encoding import Encoded
from rag.reading.model import MAX_TOKENS

# a longer question leaves too little room for a context; in tokens
_LONGEST_QUESTION = MAX_TOKENS // 2


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A question and one context: `offsets[i]`, shape (tokens, 2), are the first character of the
    context's token `tokens.second + i` and the one behind its last."""

    tokens: Encoded
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.tokens.ids)


class Pairing:
    """Cuts questions and contexts into tokens as `encode_all` does. Safe to use from several
    threads, as a tokenizer of transformers, which is set anew for each way of cutting, is not.
    """

    def __init__(self, base: Path) -> None:
        """Take the tokenizer of a model folder. Raises OSError or ValueError."""
        from transformers import AutoTokenizer

        loaded: Any = AutoTokenizer.from_pretrained(base, local_files_only=True)
        self._first, self._last = int(loaded.cls_token_id), int(loaded.sep_token_id)
        self._tokenizer: Any = loaded.backend_tokenizer
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def pairs(self, question: str, contexts: Sequence[str]) -> list[Pair]:
        """One pair a context, of MAX_TOKENS at most; the question is cut into tokens once."""
        asked, *read = self._tokenizer.encode_batch([question, *contexts], add_special_tokens=False)
        head = [self._first, *asked.ids[:_LONGEST_QUESTION], self._last]
        room = MAX_TOKENS - len(head) - 1
        return [
            Pair(
                Encoded(
                    np.array([*head, *one.ids[:room], self._last], dtype=np.int32), len(head), 0, 0
                ),
                np.array(one.offsets[:room], dtype=np.int64).reshape(-1, 2),
            )
            for one in read
        ]
