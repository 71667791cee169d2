"""Examples as tokens: the prompt that an answer is made from, and what the model shall write."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from rag.errors import ModelError
from rag.generation import Message
from rag.models.chat import Chat
from rag.models.templates import AUTO, pick_template
from rag.prompting import build_prompt, cut
from rag.records import Passage
from rag.tuning.examples import Example, Source

# a passage that is not cited is cut to no fewer tokens than this
_LEAST_TOKENS = 48
# of so many texts the tokens are remembered
_REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class Encoded:
    """The tokens of an example, of which the first `prompt` are its prompt; `text` is that."""

    ids: tuple[int, ...]
    prompt: int
    text: str = ""


class Encoder:
    """Encodes examples for one model, within `max_tokens`, the completion included.

    `stops` are the tokens at which the model's generation ends. Prompts are made by
    `rag.prompting`, so that the model sees in training what it sees in use.
    """

    # passages are cut beforehand, the cited ones never
    prompt_tokens = sys.maxsize

    def __init__(
        self, tokenizer: Any, stops: Sequence[int], max_tokens: int, template: str = AUTO
    ) -> None:
        self._chat = Chat(tokenizer, pick_template(tokenizer, template))
        self._stops = stops
        self._max_tokens = max_tokens
        # examples over the same passages come one after another
        self._ids = lru_cache(_REMEMBERED)(self._chat.ids)
        self.count: Callable[[str], int] = lambda text: len(self._ids(text))
        self._turns: list[tuple[str, str]] = []

    def prompt(self, messages: Sequence[Message]) -> str:
        """The messages in the model's chat template."""
        self._turns = [(message.role, message.content) for message in messages]
        return self._chat.prompt(self._turns)

    def encode(self, example: Example) -> Encoded | None:
        """The example as tokens; None where it does not fit even with its passages cut.

        Only passages that are not cited are cut, so that what is learned stands in the prompt.
        """
        found = self._encoded(example)
        if len(found.ids) <= self._max_tokens:
            return found
        sizes = {
            number: self.count(source.text)
            for number, source in enumerate(example.passages, 1)
            if number not in example.cited
        }
        room = sum(sizes.values()) + self._max_tokens - len(found.ids)
        while (most := _water_level(sizes.values(), room)) >= _LEAST_TOKENS:
            found = self._encoded(self._shortened(example, most))
            if len(found.ids) <= self._max_tokens:
                return found
            room -= len(found.ids) - self._max_tokens
        return None

    def encode_all(self, examples: Sequence[Example]) -> list[tuple[Example, Encoded]]:
        """Those of the examples that fit, with their tokens."""
        pairs = [(example, self.encode(example)) for example in examples]
        return [(example, encoded) for example, encoded in pairs if encoded]

    def _shortened(self, example: Example, most: int) -> Example:
        passages = tuple(
            source
            if number in example.cited
            else Source(source.title, cut(self, source.text, most))
            for number, source in enumerate(example.passages, 1)
        )
        return replace(example, passages=passages)

    def _encoded(self, example: Example) -> Encoded:
        passages = [_passage(n, source) for n, source in enumerate(example.passages, 1)]
        text = build_prompt(self, example.question, passages).text
        written, after = self._chat.answered(self._turns, example.answer)
        prompt = self._ids(text)
        return Encoded((*prompt, *self._chat.ids(written), self._end(after)), len(prompt), text)

    def _end(self, after: str) -> int:
        """The token that ends the model's turn: the template's own, where generation ends there."""
        first = self._chat.ids(after)[:1]
        return first[0] if first and first[0] in self._stops else self._stops[0]


def stop_tokens(model: Any, tokenizer: Any) -> list[int]:
    """The tokens at which a model's generation ends. Raises ModelError where it has none."""
    for found in (model.generation_config.eos_token_id, tokenizer.eos_token_id):
        if found is not None:
            return list(found) if isinstance(found, (list, tuple)) else [int(found)]
    raise ModelError(
        "The model names no token that ends an answer (eos_token_id), so none can be learned. "
        "Choose another base."
    )


def _water_level(sizes: Iterable[int], room: int) -> int:
    """The largest number to which each of the sizes can be cut so that their sum finds room."""
    left = sorted(sizes)
    while left and left[0] * len(left) <= room:
        room -= left.pop(0)
    return room // len(left) if left else 0


def _passage(number: int, source: Source) -> Passage:
    return Passage(
        chunk_id=str(number),
        document_id="",
        title=source.title,
        source="",
        page=1,
        start=0,
        end=len(source.text),
        text=source.text,
        score=0.0,
    )
