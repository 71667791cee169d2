"""How a model reads messages: its own chat template, its tokens, and where it ends a turn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any


class Chat:
    """A tokenizer with its chat template. `turns` are pairs of a role and a text.

    What a text holds of the template's own marks is broken up, so that no text from outside begins
    a turn of its own.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._special = _special_tokens(tokenizer)

    def count(self, text: str) -> int:
        """How many tokens the model reads for a text."""
        return len(self.ids(text))

    def ids(self, text: str) -> list[int]:
        """The tokens of a text, without any that the tokenizer would put around it."""
        found: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    def prompt(self, turns: Sequence[tuple[str, str]]) -> str:
        """The turns in the model's own chat template, ready to be answered."""
        inert = [{"role": role, "content": self._inert(text)} for role, text in turns]
        if not self.tokenizer.chat_template:
            return "\n\n".join(turn["content"] for turn in inert) + "\n\nAnswer:"
        return self._applied(inert, True)

    def answered(self, turns: Sequence[tuple[str, str]], answer: str) -> tuple[str, str]:
        """What the model writes after `prompt(turns)` to answer so, and what ends its turn.

        The second is empty where the template does not tell.
        """
        answer = self._inert(answer)
        if not self.tokenizer.chat_template:
            return f" {answer}", ""
        inert = [{"role": role, "content": self._inert(text)} for role, text in turns]
        whole = self._applied([*inert, {"role": "assistant", "content": answer}], False)
        prompt = self.prompt(turns)
        start = whole.find(answer, len(prompt)) if whole.startswith(prompt) else -1
        if start < 0:
            return answer, ""
        end = start + len(answer)
        return whole[len(prompt) : end], whole[end:]

    def _applied(self, turns: list[dict[str, str]], begin_answer: bool) -> str:
        text: str = self.tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=begin_answer
        )
        return text

    def _inert(self, text: str) -> str:
        """A text without special tokens: a space after the first character of each."""
        inert: str = self._special.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
        return inert


def _special_tokens(tokenizer: Any) -> re.Pattern[str]:
    """What the tokenizer reads as one special token, wherever it stands."""
    added = [str(t) for t in tokenizer.added_tokens_decoder.values() if t.special]
    found = {*tokenizer.all_special_tokens, *added}
    marks = sorted((mark for mark in found if len(mark) > 1), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, marks)) or r"(?!)")
