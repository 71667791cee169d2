"""A first question to a model, before anybody else's: it must answer with text, and in time."""

from __future__ import annotations

import threading

from rag.errors import ModelError
from rag.generation import Generator
from rag.prompting import build_prompt
from rag.records import Passage

SECONDS = 180.0
_QUESTION = "When does the boat leave?"
_PASSAGE = Passage(
    chunk_id="smoke",
    document_id="smoke",
    title="Harbour",
    source="harbour.txt",
    page=1,
    start=0,
    end=0,
    text="The boat leaves the harbour at nine every morning. In winter it leaves at ten.",
    score=1.0,
)
_TOKENS = 24


def smoke_test(generator: Generator, seconds: float = SECONDS) -> str:
    """What the model writes about a passage that was made up for it.

    Raises ModelError where it fails, writes no letter and no digit, or takes longer than `seconds`.
    """
    prompt = build_prompt(generator, _QUESTION, [_PASSAGE])
    stop, late = threading.Event(), threading.Event()

    def end() -> None:
        late.set()
        stop.set()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        arguments = {"temperature": 0.0, "max_new_tokens": _TOKENS}
        with generator.generate(prompt.text, arguments, stop) as stream:
            text = "".join(delta.text for delta in stream)
    finally:
        timer.cancel()
    if late.is_set():
        raise ModelError(
            f"{generator.info.id} did not finish a short answer within {seconds:.0f} seconds. Take "
            "a smaller model, a GPU, or quantized weights."
        )
    if not any(character.isalnum() for character in text):
        raise ModelError(
            f"{generator.info.id} was asked about a short passage and wrote no text. Its weights, "
            "tokenizer or chat template may not fit together."
        )
    return text
