"""What is known of one answer while it is made."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rag.answer_events import sentence_event
from rag.answerability import Evidence
from rag.citing import Citations
from rag.condensing import asked_last
from rag.disagreeing import Versions
from rag.evidence import Span
from rag.records import NO_MODEL, Event, MadeWith, ModelInfo, Passage, Question, Sentence, Usage
from rag.verifying import Verdict


@dataclass(slots=True)
class Run:
    """One answer on its way from its question and passages to its sentences and citations.

    `cited` has the stretch behind each citation's number; `left_out` are the passages that no LLM
    is to read; `refused` tells that the LLM said that the passages hold no answer.
    """

    question: Question
    standalone: str
    passages: tuple[Passage, ...]
    citations: Citations
    started: float
    parameters: Mapping[str, Any]
    made_with: MadeWith
    versions: Versions
    model: ModelInfo = NO_MODEL
    evidence: Evidence = field(default_factory=lambda: Evidence((), (), {}))
    answerable: float = 0.0
    refused: bool = False
    sentences: list[Sentence] = field(default_factory=list)
    cited: dict[int, Span] = field(default_factory=dict)
    left_out: frozenset[Passage] = frozenset()
    timings: dict[str, int] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)

    @property
    def asked(self) -> str:
        """What was asked last."""
        return asked_last(self.question.text, self.standalone)

    def mark(self, stage: str) -> None:
        """Note the milliseconds from the start to the end of a stage."""
        self.timings[stage] = round((time.perf_counter() - self.started) * 1000)

    def add(self, text: str, verdict: Verdict, span: Span) -> Event | None:
        """The event of a sentence more, which cites a stretch; None where that is there no more."""
        known = len(self.citations.all)
        citation = self.citations.cite(span)
        if citation is None:
            return None
        self.cited.setdefault(citation.n, span)
        sentence = Sentence(text, verdict.support, verdict.score, (citation.n,))
        self.sentences.append(sentence)
        return sentence_event(len(self.sentences) - 1, sentence, self.citations.all[known:])

    @property
    def in_order(self) -> list[Passage]:
        """The passages as the prompt had them the first time, else by their best evidence.

        Those that no LLM is to read, as an outdated version's, are left out.
        """
        known = self.made_with.prompt_passages
        if known and max(known) < len(self.passages):
            return [self.passages[place] for place in known]
        spans = reversed(list(enumerate(self.evidence.spans)))
        order = {span.passage.chunk_id: -i for i, span in spans}
        current = [passage for passage in self.passages if passage not in self.left_out]
        return sorted(current, key=lambda p: -order.get(p.chunk_id, -len(order) * 1000))
