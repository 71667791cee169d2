"""From a question to a verified, cited answer, as a stream of events.

Retrieve, judge whether the passages hold an answer, generate, verify each sentence as it is
finished, cite what is supported, replace what is not by the best verbatim quote, or abstain.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from rag.answer_events import AnswerStream, marked, quoted, withdrawn
from rag.answer_run import Run
from rag.answerability import Calibration, Evidence, Judge, threshold
from rag.catalog import Catalog
from rag.catalog.answers import new_answer_id, record_answer
from rag.catalog.collections import asked_parameters
from rag.citing import Citations
from rag.condensing import condense
from rag.current_llm import CurrentLLM
from rag.disagreeing import Versions
from rag.drafting import Draft, is_refusal
from rag.evidence import Span, coverage, held_terms
from rag.generation import Generator
from rag.kinds import shows_kind, wanted_kind
from rag.llm_shelf import LLMShelf
from rag.model_pick import NONE
from rag.parameters import used_parameters
from rag.prompting import NOT_SAID, PROMPT_VERSION, Prompt, build_prompt
from rag.records import (
    NO_MODEL,
    Answer,
    Disagreement,
    Event,
    MadeWith,
    Passage,
    Question,
    Usage,
    to_json,
)
from rag.replies import is_repeated
from rag.retrieval import Retriever
from rag.settings import Settings
from rag.short_answer import short_answer
from rag.verifying import Verdict, Verifier

# an answer of a small model that is not about the question's own words is no answer
_RELEVANT = 0.3
# nor is what a later document says in much fewer of them told
_AS_MUCH = 0.5
_MOST_SENTENCES = 4
_MARKS = ".,;:!?()“”\"'"
# after so many unsupported sentences in a row the model is not asked to go on
_PATIENCE = 2


class Answerer:
    """Answers questions from one library. Safe to use from several threads.

    Where no LLM is in use an answer is the best quote, and comes as soon as it is found.
    `made_with` says what else decides an answer.
    """

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        retriever: Retriever,
        judge: Judge,
        calibration: Calibration,
        verifier: Verifier,
        llm: CurrentLLM,
        others: LLMShelf,
        made_with: MadeWith,
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._retriever = retriever
        self._judge = judge
        self._calibration = calibration
        self._verifier = verifier
        self._llm = llm
        self._others = others
        self._made_with = made_with

    @property
    def threshold(self) -> float:
        """The answerability below which the answer is that the documents do not say."""
        return threshold(self._settings, self._calibration)

    @property
    def made_with(self) -> MadeWith:
        """What decides every answer alike, the threshold among it."""
        return replace(self._made_with, threshold=self.threshold)

    def judged(self, question: str, passages: Sequence[Passage]) -> tuple[Evidence, float]:
        """What of some passages may answer a question, and how likely they hold the answer."""
        evidence = self._judge.evidence(question, passages)
        chance = self._calibration.probability(evidence.features) if evidence.spans else 0.0
        return evidence, chance

    def ask(self, question: Question) -> AnswerStream:
        """The events of one answer: sources, evidence, then tokens and sentences, then done."""
        stop = threading.Event()
        return AnswerStream(self._events(question, stop), stop)

    def _events(self, question: Question, stop: threading.Event) -> Iterator[Event]:
        run = self._retrieve(question)
        yield Event("sources", {"passages": to_json(run.passages)})
        self._weigh(run)
        if run.evidence.spans and run.answerable >= self.threshold:
            name = question.model
            wanted = name != NONE if name else self._llm.wanted
            if wanted and (best := self._evidence(run)):
                yield best
            if self._others.must_load(name):
                yield Event("loading", {"model": name})
            with self._others.use(name, stop) as generator:
                if generator is not None:
                    yield from self._generate(run, generator, stop)
            if stop.is_set():
                return
            if not run.sentences and not run.refused and (quote := self._quote(run)):
                yield quote
        answer = self._finish(run)
        record_answer(self._catalog, answer)
        yield Event("done", to_json(answer))

    def answer_again(
        self,
        question: Question,
        standalone: str,
        passages: Sequence[Passage],
        generator: Generator | None,
        made_with: MadeWith | None,
        stop: threading.Event,
        looking: bool = True,
    ) -> Answer:
        """An answer from passages that are given, with all `parameters`; it is not recorded.

        What is known of how it was made the first time decides: the order of the passages in the
        prompt, and the answerability below which it declines. Other versions of the documents are
        looked at unless it was made without `looking`.
        """
        known = made_with or self._made_with
        # a newer version's passage that was put in later was not judged
        judged = [passage for at, passage in enumerate(passages) if at != known.added]
        run = Run(
            question=question,
            standalone=standalone,
            passages=tuple(judged),
            citations=Citations(self._catalog),
            started=time.perf_counter(),
            parameters=question.parameters,
            made_with=replace(self._made_with, prompt_passages=known.prompt_passages),
            versions=Versions(self._catalog, standalone, judged, looking=looking),
            model=generator.info if generator else NO_MODEL,
        )
        self._weigh(run)
        if _places(run.passages) != _places(passages):
            run.made_with = replace(run.made_with, prompt_passages=())
        if run.evidence.spans and run.answerable >= known.threshold:
            if generator is not None:
                for _ in self._generate(run, generator, stop):
                    pass
            if not run.sentences and not run.refused:
                self._quote(run)
        return self._finish(run)

    def _retrieve(self, question: Question) -> Run:
        started = time.perf_counter()
        standalone = condense(question.text, question.history, self._settings.question_max_chars)
        passages = self._retriever.passages(
            standalone,
            question.collections,
            self._settings.retrieval_passages,
            question.filters,
        )
        of_collection = asked_parameters(self._catalog, question.collections)
        parameters = used_parameters(question.parameters, self._settings, of_collection)
        run = Run(
            question=question,
            standalone=standalone,
            passages=tuple(passages),
            citations=Citations(self._catalog),
            started=started,
            parameters=parameters,
            made_with=self.made_with,
            versions=Versions(self._catalog, standalone, passages),
            model=self._others.info(question.model),
        )
        run.mark("retrieve")
        return run

    def _weigh(self, run: Run) -> None:
        """Find the best evidence and how likely it holds the answer."""
        judge = partial(self._judge.evidence, run.standalone, asked=run.asked)
        run.evidence = judge(run.passages)
        if run.evidence.spans:
            run.answerable = self._calibration.probability(run.evidence.features)
            newest = run.versions.newest(run.evidence, judge)
            run.evidence, run.passages = newest.evidence, newest.passages
            run.left_out = newest.left_out
            run.made_with = replace(run.made_with, added=newest.added)
        run.mark("weigh")

    def _generate(self, run: Run, generator: Generator, stop: threading.Event) -> Iterator[Event]:
        order = run.in_order
        run.model = generator.info
        system = run.parameters.get("system_prompt")
        arguments = {k: v for k, v in run.parameters.items() if k != "system_prompt"}
        prompt = build_prompt(generator, run.standalone, order, system)
        run.usage = Usage(prompt.tokens, 0)
        if not prompt.passages:
            return
        written = hashlib.sha256()
        draft, misses, tokens = Draft([p.text for p in prompt.passages]), 0, 0
        read, asker = prompt.tokens, run.question.asker
        with generator.generate(prompt.text, arguments, stop, asker) as stream:
            for delta in stream:
                if not tokens:
                    run.mark("first_token")
                tokens, read = delta.tokens, delta.prompt_tokens or read
                if not delta.text:
                    continue
                yield Event("token", {"text": delta.text})
                draft.add(delta.text)
                written.update(delta.text.encode("utf-8", "replace"))
                for sentence in draft.take():
                    event = self._verified(run, prompt, sentence)
                    misses = 0 if event else misses + 1
                    yield event or withdrawn(sentence)
                if misses >= _PATIENCE or len(run.sentences) >= _MOST_SENTENCES:
                    break
            else:
                for sentence in draft.take(last=True):
                    yield self._verified(run, prompt, sentence) or withdrawn(sentence)
        run.usage = Usage(read, tokens)
        run.made_with = replace(
            run.made_with,
            prompt_tokens=generator.prompt_tokens,
            prompt_passages=tuple(run.passages.index(passage) for passage in order),
            prompt_sha256=hashlib.sha256(prompt.text.encode("utf-8", "replace")).hexdigest(),
            draft_sha256=written.hexdigest(),
        )

    def _verified(self, run: Run, prompt: Prompt, text: str) -> Event | None:
        """The event of a sentence that a passage supports; None where none does.

        One that says that the passages do not answer is noted: no quote stands in for it then.
        """
        run.refused = run.refused or is_refusal(text)
        verdict = self._verifier.verify(text, prompt.passages)
        if verdict.evidence is None or not self._answers(run, verdict.evidence):
            return None
        if run.versions.outdated(verdict.evidence):
            return None
        if _leaves_out(run.asked, run.standalone, text, verdict.evidence):
            return None
        if any(sentence.text == text for sentence in run.sentences):
            return None
        return run.add(text, verdict, verdict.evidence)

    def _answers(self, run: Run, span: Span) -> bool:
        """Whether a stretch is about the question: near its best evidence, or in its words."""
        best = run.evidence.spans[0]
        if span.passage.chunk_id == best.passage.chunk_id and (
            span.start < best.end and best.start < span.end
        ):
            return True
        weights = self._judge.weights(run.standalone)
        needed = max(_RELEVANT, coverage(weights, held_terms(best.text, best.passage)))
        return coverage(weights, held_terms(span.text, span.passage)) >= needed

    def _evidence(self, run: Run) -> Event | None:
        """The best evidence, word for word, to read until the LLM has written and was checked.

        None where none is in its document any more, as with `_quote`.
        """
        citations = Citations(self._catalog)
        for span in run.evidence.spans:
            if citation := citations.cite(span):
                run.mark("evidence")
                return Event("evidence", {"text": quoted(span), "citation": to_json(citation)})
        return None

    def _quote(self, run: Run) -> Event | None:
        """The best evidence as a sentence of the answer."""
        for span in run.evidence.spans:
            event = run.add(quoted(span), Verdict("quoted", 1.0, span), span)
            if event:
                return event
        return None

    def _finish(self, run: Run) -> Answer:
        abstained = not run.sentences
        text = NOT_SAID if abstained else " ".join(marked(run.sentences))
        short, confidence = None, 1.0 - run.answerable
        if not abstained:
            quotes = [citation.quote for citation in run.citations.all]
            short = short_answer(run.asked, quotes, run.evidence)
            confidence = self._calibration.confidence(run.evidence.features)
        run.mark("total")
        return Answer(
            id=new_answer_id(),
            question=run.question.text,
            standalone_question=run.standalone,
            collections=run.question.collections or (),
            text=text,
            short_answer=short,
            abstained=abstained,
            confidence=round(confidence, 4),
            answerable=round(run.answerable, 4),
            sentences=tuple(run.sentences),
            citations=tuple(run.citations.all),
            passages=run.passages,
            model=run.model,
            prompt_version=PROMPT_VERSION,
            parameters=run.parameters,
            usage=run.usage,
            timings_ms=run.timings,
            filters=run.question.filters,
            made_with=run.made_with,
            disagreements=() if abstained else self._otherwise(run),
        )

    def _otherwise(self, run: Run) -> tuple[Disagreement, ...]:
        """What other versions say instead of what is cited, and what is said later.

        The latter not of a question that needs the one before: what it is about is too unclear.
        """
        told = run.versions.told_of(run.citations.all, run.cited)
        if run.asked != run.standalone:
            return told
        known = {one.document_id for one in told}
        for number, span in run.cited.items():
            for passages in run.versions.later(span):
                said = self._says(run, passages)
                if said is None or passages[0].document_id in known:
                    continue
                if " ".join(said.text.split()) == " ".join(span.text.split()):
                    continue
                if later := run.versions.told_later(said, number):
                    return (*told, later)
        return told

    def _says(self, run: Run, passages: Sequence[Passage]) -> Span | None:
        """What these passages alone answer, in as many of the question's words as the best quote
        has, by half at least; None where they likely do not."""
        found = self._judge.evidence(run.standalone, passages)
        if not found.spans or is_repeated(found.spans[0]):
            return None
        weights = self._judge.weights(run.standalone)
        said, best = (
            coverage(weights, held_terms(span.text, span.passage))
            for span in (found.spans[0], run.evidence.spans[0])
        )
        likely = self._calibration.probability(found.features) >= run.made_with.threshold
        return found.spans[0] if likely and said and said >= _AS_MUCH * best else None


def _places(passages: Sequence[Passage]) -> list[tuple[str, int, int]]:
    return [(passage.chunk_id, passage.start, passage.end) for passage in passages]


def _leaves_out(asked: str, question: str, text: str, evidence: Span) -> bool:
    """Whether what is asked for at last, as a time or an amount, is in the evidence alone.

    “The ferry leaves on working days” is supported by “The ferry leaves at 07:40 on working days”.
    What the question has itself, as the day that it asks about, is no answer where the evidence
    has more.
    """
    kind = wanted_kind(asked)
    both = (
        (evidence.text, text),
        (_without_words(evidence.text, question), _without_words(text, question)),
    )
    return any(
        shows_kind(shown, kind) is True and shows_kind(said, kind) is False for shown, said in both
    )


def _without_words(text: str, question: str) -> str:
    """A text without the words of a question, marks at their ends aside."""
    asked = {word.strip(_MARKS).casefold() for word in question.split()}
    return " ".join(word for word in text.split() if word.strip(_MARKS).casefold() not in asked)
