"""A question and a context as the tokens that the second reader is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_TOKENS = 512
_LONGEST_QUESTION = 96


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """The first tokens of a text, MAX_TOKENS at most.

    `offsets[i]`, shape (tokens, 2), are the first character of token `ids[i]` and the one behind
    its last.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """The tokens of a question, a context and the question again.

    `offsets[i]`, shape (tokens, 2), are the first character of the context's token `ids[first + i]`
    and the one behind its last.
    """

    ids: NDArray[np.int32]
    first: int
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)


class Asking:
    """Cuts questions and contexts into tokens. Safe to use from several threads."""

    def __init__(self, base: Path) -> None:
        """Take the tokenizer of a model folder. Raises OSError or ValueError."""
        from tokenizers import Tokenizer

        text = (base / "tokenizer.json").read_text("utf-8")
        try:
            self._tokenizer: Any = Tokenizer.from_str(text)
        except Exception as error:  # tokenizers has no exception of its own
            raise ValueError(f"tokenizer.json is none of a tokenizer: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        marks = self._tokenizer.encode("<|im_start|>\n<|im_end|>", add_special_tokens=False)
        self._begin, self._line, self._end = marks.ids
        self._tokenizer.encode_special_tokens = True  # in a text a mark is a text

    def asked(self, question: str, contexts: Sequence[str]) -> list[Asked]:
        """One a context, of MAX_TOKENS at most."""
        head, *read = self.cut([question, *contexts])
        return [self.joined(head, one) for one in read]

    def cut(self, texts: Sequence[str]) -> list[Cut]:
        """Questions and contexts as tokens, each by itself."""
        cut = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [
            Cut(
                np.array(one.ids[:MAX_TOKENS], dtype=np.int32),
                _without_space(text, one.offsets[:MAX_TOKENS]),
            )
            for text, one in zip(texts, cut, strict=True)
        ]

    def joined(self, question: Cut, context: Cut) -> Asked:
        """A question that is asked of a context: what `asked` makes of their texts."""
        ids = question.ids[:_LONGEST_QUESTION]
        before, after = [self._begin, *ids, self._line], [self._line, *ids, self._end]
        room = MAX_TOKENS - len(before) - len(after)
        joined = np.concatenate([before, context.ids[:room], after]).astype(np.int32)
        return Asked(joined, len(before), context.offsets[:room])


def _without_space(text: str, offsets: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """Offsets without the space that a token begins with."""
    places = [(start + text[start:end].startswith(" "), end) for start, end in offsets]
    return np.array(places, dtype=np.int64).reshape(-1, 2)
