"""An answer as a stream of events, and how its sentences are told."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator, Sequence

from rag.evidence import Span, is_cut
from rag.records import Citation, Event, Sentence, to_json
from rag.replies import MAILS

# what marks a program or a heading, what a mail repeats, and bold words, one mark of which may
# stand outside the stretch; where a number may be meant by “>”, or a power by “**”, they stay
_FENCES = re.compile(r"^[ \t]*`{3}[\w+-]*[ \t]*$", re.MULTILINE)
_HEADING = re.compile(r"^[ \t]*#{1,6}[ \t]+(?=[^\W\d_a-zß-ÿ])", re.MULTILINE)
_REPEATED = re.compile(r"^[ \t]*>[ \t](?![\d€$£])", re.MULTILINE)
_BOLD = re.compile(r"(?<![\w*/])\*\*(?=\w)([^*\n]+?)(?<=[\w.!?:])\*\*(?![\w*/])")
_HALF_BOLD = re.compile(r"(?<=[?!.:])\*\*(?=\s|$)")
_MARK = re.compile(r"\[(\d{1,9})\]")


class AnswerStream:
    """The events of one answer. `close` may be called from any thread and stops the model."""

    def __init__(self, events: Iterator[Event], stop: threading.Event) -> None:
        self._events = events
        self._stop = stop

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        return next(self._events)

    def close(self) -> None:
        """Stop: the model ends at its next token, and no further event comes."""
        self._stop.set()
        close = getattr(self._events, "close", None)
        if close is not None:
            # the thread that waits for the next event ends it by itself
            with contextlib.suppress(ValueError):
                close()


def sentence_event(index: int, sentence: Sentence, new: Sequence[Citation]) -> Event:
    """The event of an answer's sentence, with the citations that no sentence before it had."""
    return Event(
        "sentence",
        {
            "index": index,
            **to_json(sentence),
            "new_citations": to_json(new),
            "replaces_draft": True,
        },
    )


def quoted(span: Span) -> str:
    """A stretch of a passage on one line, without marks of Markdown; a sign says where it is cut.

    Its citation has it to the letter.
    """
    bare = _HEADING.sub("", _FENCES.sub("", span.text))
    if span.passage.source.lower().endswith(MAILS):
        bare = _REPEATED.sub("", bare)
    bare = _HALF_BOLD.sub("", _BOLD.sub(r"\1", bare))
    bare = bare if any(c.isalnum() for c in bare) else span.text
    return " ".join(bare.split()) + (" …" if is_cut(span) else "")


def withdrawn(text: str) -> Event:
    """The event of a sentence that nothing supports."""
    return Event(
        "sentence",
        {
            "index": None,
            "text": "",
            "withdrawn": text,
            "support": "unsupported",
            "score": 0.0,
            "citations": [],
            "new_citations": [],
            "replaces_draft": True,
        },
    )


def marked(sentences: Sequence[Sentence]) -> Iterator[str]:
    """The sentences with their citations' numbers; nothing else in them looks like one."""
    known = {n for sentence in sentences for n in sentence.citations}

    def other(found: re.Match[str]) -> str:
        return f"({found[1]})" if int(found[1]) in known else found[0]

    for sentence in sentences:
        marks = "".join(f" [{n}]" for n in sentence.citations)
        yield _MARK.sub(other, sentence.text) + marks
