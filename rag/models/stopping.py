"""What of a model's text is its answer: not what it thinks, nor anything after it has ended."""

from __future__ import annotations

from collections.abc import Sequence

THINKING = ("<think>", "</think>")


class Shown:
    """Takes generated text in pieces of any size and gives what may be shown of it.

    The first of `stops` ends the answer; it is not shown, nor is anything after it. Nothing is
    shown before `opens`, where that is not empty (as the head of a channel), nor within a pair of
    `hidden` marks. What may be the beginning of a mark is held back until it is known not to be.
    """

    def __init__(
        self,
        stops: Sequence[str] = (),
        opens: str = "",
        hidden: Sequence[tuple[str, str]] = (THINKING,),
    ) -> None:
        self.ended = False
        self._stops = [stop for stop in stops if stop]
        self._closed_by = dict(hidden)
        self._marks = [*self._stops, *self._closed_by]
        self._awaited = opens
        self._held = ""

    def feed(self, text: str) -> str:
        """What may be shown now that `text` has come; `ended` tells whether it was the last."""
        shown = ""
        self._held += "" if self.ended else text
        while self._held:
            if self._awaited:
                _, found, rest = self._held.partition(self._awaited)
                if not found:
                    self._held = self._held[len(self._held) - _begun(self._held, [self._awaited]) :]
                    break
                self._held, self._awaited = rest, ""
                continue
            place, mark = _first(self._held, self._marks)
            shown += self._held[:place]
            if not mark:
                self._held = self._held[place:]
                break
            self._held = self._held[place + len(mark) :]
            if mark not in self._closed_by:
                self._held, self.ended = "", True
            else:
                self._awaited = self._closed_by[mark]
        return shown

    def finish(self) -> str:
        """What was held back, now that no more text comes."""
        rest = "" if self._awaited else self._held
        self._held, self.ended = "", True
        return rest


def _first(text: str, marks: Sequence[str]) -> tuple[int, str]:
    """Where the first mark stands and which; else where one may have begun, and ""."""
    found = [(place, -len(mark), mark) for mark in marks if (place := text.find(mark)) >= 0]
    if found:
        place, _, mark = min(found)
        return place, mark
    return len(text) - _begun(text, marks), ""


def _begun(text: str, marks: Sequence[str]) -> int:
    """How many characters at the end of a text are the beginning of a mark."""
    longest = max(map(len, marks), default=1) - 1
    for length in range(min(longest, len(text)), 0, -1):
        if any(mark.startswith(text[-length:]) for mark in marks):
            return length
    return 0
