"""What is shown of generated text, however it is cut into pieces."""

from __future__ import annotations

from typing import Any

import pytest

from rag.models.stopping import Shown

HARMONY = "<|channel|>final<|message|>"
CASES = [
    ({}, "All of it.", "All of it.", False),
    ({"stops": ["### End"]}, "Five days.\n\n### End\n\n### Inst", "Five days.\n\n", True),
    ({"stops": ["\nUSER:"]}, "The USER: is\nUS, not\nUSER: hi", "The USER: is\nUS, not", True),
    ({"stops": ["### End"]}, "A # and ### and ### En", "A # and ### and ### En", False),
    ({"stops": ["ab", "aab"]}, "xaab", "x", True),
    ({"stops": ["aabc", "b"]}, "xaab", "xaa", True),
    ({"stops": ["</s>", "<|end|>"]}, "a < b </ c<|end|>d</s>", "a < b </ c", True),
    ({}, "<think>\nHm, < 5?\n</think>\n\nFive.", "\n\nFive.", False),
    ({}, "<think>never ends", "", False),
    ({"stops": ["Q:"], "hidden": ()}, "<think>A Q:", "<think>A ", True),
    (
        {"stops": ["<|return|>", "<|end|>"], "opens": HARMONY},
        "<|channel|>analysis<|message|>Five?<|end|><|start|>assistant<|channel|>final<|message|>"
        "Five days.<|return|>more",
        "Five days.",
        True,
    ),
    ({"opens": "</think>"}, "Hm.\n</think>Five.", "Five.", False),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(("marks", "text", "expected", "ended"), CASES)
def test_the_same_is_shown_in_pieces_of_every_size(
    marks: dict[str, Any],
    text: str,
    expected: str,
    ended: bool,
    size: int,
) -> None:
    shown = Shown(**marks)
    pieces = [shown.feed(text[at : at + size]) for at in range(0, len(text), size)]
    assert shown.ended is ended
    assert "".join([*pieces, shown.finish()]) == expected
    assert shown.feed("more") == ""


def test_only_what_may_be_a_mark_is_held_back() -> None:
    shown = Shown(stops=["\nUSER:"])
    assert shown.feed("Five days.") == "Five days."
    assert shown.feed("\nUS") == ""
    assert shown.feed("ually") == "\nUSually"
    assert (shown.feed("\n"), shown.finish()) == ("", "\n")
