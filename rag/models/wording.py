"""Tokens to text as they come, never half a character."""

from __future__ import annotations

from typing import Any

# what a tokenizer writes for bytes that are no whole character
_BROKEN = "\ufffd"


class Wording:
    """Turns the tokens of one completion into text; without `special` tokens, where not asked for.

    A token's text may depend on the one before (a space, or half a character), so each is read
    together with those since the last whole text; as vLLM's detokenizer does.
    """

    def __init__(self, tokenizer: Any, special: bool = False) -> None:
        self._tokenizer = tokenizer
        self._special = special
        self._ids: list[int] = []
        # the text of ids[:_read] is given out; ids[_begin:] are decoded together
        self._begin = self._read = 0

    def add(self, token: int) -> str:
        """The further text that is whole with this token; it may be empty."""
        self._ids.append(token)
        text = self._new()
        if text.endswith(_BROKEN):
            return ""
        return self._given(text)

    def rest(self) -> str:
        """What is left when no token comes any more, whole or not."""
        return self._given(self._new())

    def _new(self) -> str:
        before = self._text(self._ids[self._begin : self._read])
        whole = self._text(self._ids[self._begin :])
        return whole[len(before) :] if whole.startswith(before) else ""

    def _given(self, text: str) -> str:
        if text:
            self._begin, self._read = self._read, len(self._ids)
        return text

    def _text(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(
            ids, skip_special_tokens=not self._special, clean_up_tokenization_spaces=False
        )
        return text
