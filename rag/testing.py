"""Stand-ins for models, for tests only; each is held to the same tests as the real one."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.types import (
    ChatMessage,
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.llms import CustomLLM

from rag.library import Library
from rag.settings import Settings

DIMENSIONS = 64


def fake_settings(home: Path, **changes: Any) -> Settings:
    """Settings for a library in `home` with stand-ins for every model."""
    given: dict[str, Any] = {
        "embedder_model": "rag.testing:FakeEmbedding",
        "llm_model": "rag.testing:FakeLLM",
        "reader_model": "",
        "answer_threshold": 0.0,
        "ingest_parsers": 1,
        "ingest_free_bytes": 0,
    }
    return Settings(home=home, **(given | changes))


def fake_library(home: Path, **changes: Any) -> Library:
    """A loaded library with stand-ins for every model."""
    library = Library(fake_settings(home, **changes))
    library.load()
    return library


class FakeEmbedding(BaseEmbedding):
    """Counts hashed words: texts that share words are near, at once and without a model."""

    def __init__(self) -> None:
        super().__init__(model_name="fake")

    def _get_text_embedding(self, text: str) -> list[float]:
        vector = np.full(DIMENSIONS, 1e-3)
        for word in re.findall(r"\w+", text.lower()):
            digest = hashlib.sha256(word.encode()).digest()
            vector[digest[0] % DIMENSIONS] += 1.0 if digest[1] % 2 else -1.0
        scaled: list[float] = (vector / np.linalg.norm(vector)).tolist()
        return scaled

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


class FakeLLM(CustomLLM):
    """Says what `replies` holds, word by word, whatever it is asked.

    `replies` and `pause` (seconds a word) are the class's, since settings name the class.
    """

    replies: ClassVar[list[str]] = []
    pause: ClassVar[float] = 0.0
    stopped: ClassVar[int] = 0

    @property
    def metadata(self) -> LLMMetadata:
        """A small context, so that budgets are felt."""
        return LLMMetadata(context_window=2048, model_name="fake", is_chat_model=True)

    def prompt(self, messages: Sequence[ChatMessage]) -> str:
        """The messages below one another."""
        return "\n".join(f"{m.role.value}: {m.content}" for m in messages)

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """The next reply."""
        return list(self.stream_complete(prompt, formatted, **kwargs))[-1]

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        """The next reply, a word at a time."""
        reply = self.replies.pop(0) if self.replies else "I cannot say."
        text = ""
        try:
            for number, word in enumerate(reply.split(" "), 1):
                time.sleep(self.pause)
                delta = word if number == 1 else f" {word}"
                text += delta
                yield CompletionResponse(text=text, delta=delta, raw={"tokens": number})
        except GeneratorExit:
            FakeLLM.stopped += 1
            raise
