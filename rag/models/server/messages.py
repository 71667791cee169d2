"""A prompt as messages: what a chat server takes, in the one string that a prompt is here."""

from __future__ import annotations

import re
from collections.abc import Sequence

# between roles and texts; no document's text has them, or they are blanks in it
_BEGIN, _END = "\x1e", "\x1f"
# what chat templates are made of. A server reads them as marks wherever they stand, so that a
# document could begin a turn of its own.
_MARKS = re.compile(
    r"<\|[^|<>\n]{1,60}\|>|<｜[^｜<>\n]{1,60}｜>|</?s>|<<?/?SYS>?>|\[/?INST\]|\[/?SYSTEM_PROMPT\]"
    r"|\[gMASK\]|</?(?:start|end)_of_turn>|<(?:bos|eos|pad|unk|sop|eop)>|</?think>"
    r"|<(?:start|end)of\w{1,30}>|<extra_id_\d+>"
)
# of the template around a message
_AROUND_TOKENS = 8


def joined(turns: Sequence[tuple[str, str]]) -> str:
    """Pairs of a role and a text as one prompt, in which no text holds a template's marks."""
    return "".join(f"{_BEGIN}{role}{_END}{inert(text)}" for role, text in turns)


def split(prompt: str) -> list[tuple[str, str]]:
    """The pairs in such a prompt; another text is one question."""
    if not prompt.startswith(_BEGIN):
        return [("user", inert(prompt))]
    parts = [part.partition(_END) for part in prompt[1:].split(_BEGIN)]
    return [(role, text) for role, _, text in parts]


def inert(text: str) -> str:
    """A text whose marks are broken up, by a space after the first character of each."""
    plain = text.replace(_BEGIN, " ").replace(_END, " ")
    return _MARKS.sub(lambda found: f"{found[0][0]} {found[0][1:]}", plain)


def texts_of(prompt: str) -> tuple[str, int]:
    """The texts that count, and how many tokens the template puts around them."""
    if not prompt.startswith(_BEGIN):
        return prompt, 0
    turns = split(prompt)
    return "\n".join(text for _, text in turns), _AROUND_TOKENS * (len(turns) + 1)
