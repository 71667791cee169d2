"""How a model reads messages: its chat template, its tokens, and where it ends a turn."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from rag.errors import ModelError
from rag.models.stopping import THINKING, Shown
from rag.models.templates import Template, pick_template, special_tokens

# what templates of models that can think first take, each under its own name: to think little
_THINK_LITTLE = {"enable_thinking": False, "thinking": False, "reasoning_effort": "low"}


class Chat:
    """A tokenizer with its chat template. `turns` are pairs of a role and a text.

    What a text holds of the template's own marks is broken up, so that no text from outside begins
    a turn of its own. The template is the one that `pick_template` takes, where none is given.
    """

    def __init__(self, tokenizer: Any, template: Template | None = None) -> None:
        self.tokenizer = tokenizer
        self.template = template or pick_template(tokenizer)
        special = special_tokens(tokenizer)
        self._breaks = list(_breaks(special, self.template))
        self._begin = "" if not self.template.template else _beginning(tokenizer)

    @property
    def shows_special(self) -> bool:
        """Whether the answer can be told only by special tokens, which must be decoded then."""
        return bool(self.template.opens)

    def shown(self, prompt: str) -> Shown:
        """What takes the text generated after a prompt and gives what is its answer."""
        opens = self.template.opens
        stops = (*self.template.stops, *self.template.closes)
        if opens:
            stops = (*stops, *filter(None, [self.tokenizer.eos_token]))
        elif prompt.rstrip().endswith(THINKING[0]):
            opens = THINKING[1]
        return Shown(stops, opens)

    def ends(self, known: int | Sequence[int] | None = None) -> list[int]:
        """The tokens at which an answer ends: the model's own (`known`), the tokenizer's, and the
        template's.

        The template's are its stops that are one token, and the special token that it puts after
        an answer. Raises ModelError where the template cannot be used.
        """
        added = self.tokenizer.get_added_vocab()
        found = {known} if isinstance(known, int) else set(known or ())
        found |= {added[mark] for mark in self.template.stops if mark in added}
        if self.tokenizer.eos_token_id is not None:
            found.add(self.tokenizer.eos_token_id)
        after = self.answered([("user", "a")], "b")[1].lstrip()
        ending = [token for token in special_tokens(self.tokenizer) if after.startswith(token)]
        if ending and (longest := max(ending, key=len)) not in self.template.closes:
            found.add(self.tokenizer.convert_tokens_to_ids(longest))
        return sorted(found)

    def count(self, text: str) -> int:
        """How many tokens the model reads for a text."""
        return len(self.ids(text))

    def ids(self, text: str) -> list[int]:
        """The tokens of a text, without any that the tokenizer would put around it."""
        found: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    def prompt(self, turns: Sequence[tuple[str, str]]) -> str:
        """The turns in the chat template, ready to be answered.

        A system text that the template has no place for stands at the head of the first user turn.
        Raises ModelError where the template cannot be used.
        """
        return self._applied(self._messages(turns), True)

    def answered(self, turns: Sequence[tuple[str, str]], answer: str) -> tuple[str, str]:
        """What the model writes after `prompt(turns)` to answer so, and what ends its turn.

        The second is empty where the template does not tell.
        """
        answer = self._inert(answer)
        messages = [*self._messages(turns), {"role": "assistant", "content": answer}]
        whole, prompt = self._applied(messages, False), self.prompt(turns)
        start = whole.find(answer, len(prompt)) if whole.startswith(prompt) else -1
        if start < 0:
            return answer, ""
        end = start + len(answer)
        return whole[len(prompt) : end], whole[end:]

    def _messages(self, turns: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
        return [{"role": role, "content": self._inert(text)} for role, text in turns]

    def _applied(self, messages: list[dict[str, str]], begin_answer: bool) -> str:
        from jinja2 import TemplateError

        merged = _merged(messages)
        try:
            if not self.template.merges:
                text = self._render(messages, begin_answer)
                if messages == merged or messages[0]["content"].strip() in text:
                    return text
        except TemplateError as error:
            if messages == merged:
                raise _unusable(error) from error
        try:
            return self._render(merged, begin_answer)
        except TemplateError as error:
            raise _unusable(error) from error

    def _render(self, messages: list[dict[str, str]], begin_answer: bool) -> str:
        text: str = self.tokenizer.apply_chat_template(
            messages,
            chat_template=self.template.template or None,
            tokenize=False,
            add_generation_prompt=begin_answer,
            **_THINK_LITTLE,
        )
        return self._begin + text

    def _inert(self, text: str) -> str:
        """A text without the template's marks: a space stands within each."""
        for pattern, broken in self._breaks:
            text = pattern.sub(broken, text)
        return text


_Break = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


def _breaks(special: Iterable[str], template: Template) -> Iterator[_Break]:
    """What finds each kind of marks, and what is put in the place of one.

    Special tokens are read as such anywhere, in their own spelling alone. A mark in plain text may
    be understood in any, a word with a colon only at the beginning of a line, or where it stands
    in capitals within one.
    """
    words = [mark for mark in template.marks if mark[0].isalpha()]
    others = [mark for mark in template.marks if mark not in words]
    if tokens := _any_of(special):
        yield re.compile(tokens), _split
    if others:
        yield re.compile(_any_of(others), re.IGNORECASE), _split
    if words and template.inline:
        yield re.compile(rf"(?<!\w)(?:{_any_of(words)})"), lambda found: f"{found[0][:-1]} :"
    if words:
        at_start = re.compile(rf"^[^\S\n]*(?:{_any_of(words)})", re.IGNORECASE | re.MULTILINE)
        yield at_start, lambda found: f"{found[0][:-1]} :"


def _split(found: re.Match[str]) -> str:
    return f"{found[0][0]} {found[0][1:]}"


def _any_of(marks: Iterable[str]) -> str:
    known = sorted((mark for mark in marks if len(mark) > 1), key=len, reverse=True)
    return "|".join(map(re.escape, known))


def _merged(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """The messages with the system's text at the head of the first user turn."""
    if len(messages) < 2 or (messages[0]["role"], messages[1]["role"]) != ("system", "user"):
        return messages
    both = f"{messages[0]['content']}\n\n{messages[1]['content']}"
    return [{"role": "user", "content": both}, *messages[2:]]


def _beginning(tokenizer: Any) -> str:
    """The token that the tokenizer itself puts before a text; empty where it puts none."""
    first = tokenizer("a")["input_ids"][:1]
    begins = tokenizer.bos_token is not None and first == [tokenizer.bos_token_id]
    return str(tokenizer.bos_token) if begins else ""


def _unusable(error: Exception) -> ModelError:
    return ModelError(
        f"The model's chat template cannot be used: {error}. Set llm.template to another one."
    )
