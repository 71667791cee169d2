"""The LLM of an on-premises server behind LlamaIndex's `CustomLLM`, streaming and stoppable.

It speaks OpenAI's chat completions over HTTP, with no library of a cloud's: what is sent goes to
the address that the operator allowed, and nowhere else.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.llms import CustomLLM

from rag.models.server.access import Access, read_access
from rag.models.server.completion import completion
from rag.models.server.dialects import request_fields
from rag.models.server.facts import ServerFacts, TokenCounter, read_facts
from rag.models.server.messages import joined, split, texts_of
from rag.models.server.pieces import Whole
from rag.records import ModelInfo
from rag.settings import Settings


class RemoteLLM(CustomLLM):
    """The model of the server at `llm.url`. As many completions may run at once as it takes.

    Making one asks the server which model it has. Raises ModelError where the address is not
    allowed or the model is not there, Busy where the server does not answer yet.
    """

    context_tokens: int
    stoppable: bool = True
    device: str = "server"

    _access: Access = PrivateAttr()
    _facts: ServerFacts = PrivateAttr()
    _counter: TokenCounter = PrivateAttr()

    def __init__(self, settings: Settings) -> None:
        access = read_access(settings)
        # the starter LLM's name, where none was set, is not that of the server's
        facts = read_facts(access, settings.llm_model, settings.llm_model == Settings().llm_model)
        super().__init__(context_tokens=facts.context_tokens or settings.llm_context_tokens)
        self._access = access
        self._facts = facts
        self._counter = TokenCounter(access, facts)

    @property
    def metadata(self) -> LLMMetadata:
        """Its context length in tokens and its name."""
        return LLMMetadata(
            context_window=self.context_tokens, model_name=self._facts.model, is_chat_model=True
        )

    @property
    def info(self) -> ModelInfo:
        """What an answer's record says of it: the name, and the revision where it is told."""
        return ModelInfo(self._facts.model, self._facts.revision, self.device)

    def count(self, text: str) -> int:
        """How many tokens the model reads for a text; an estimate where the server cannot tell."""
        texts, around = texts_of(text)
        return self._counter.count(texts) + around

    def _extend_messages(self, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
        return list(messages)

    def prompt(self, messages: Sequence[ChatMessage]) -> str:
        """The messages in one string; the server puts them into the model's own template."""
        return joined([(m.role.value, m.content or "") for m in messages])

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """The whole completion; see `stream_complete`."""
        parts = list(self.stream_complete(prompt, formatted, **kwargs))
        return parts[-1] if parts else CompletionResponse(text="")

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        """Completions as they grow; closing the generator ends the connection.

        `kwargs` are parameters by their names here (`max_new_tokens`, …), and `stop`, an event by
        which another thread ends the work. The last one's `raw` has the server's own counts.
        Raises Busy and ModelError as `completion` does, UsageError for a parameter that the
        server does not have.
        """
        stop = kwargs.pop("stop", None) or threading.Event()
        body = self._body(prompt, request_fields(self._facts.kind, kwargs))
        text, whole, tokens = "", Whole(), 0
        counts: dict[str, int] = {}
        with contextlib.closing(completion(self._access, body, stop)) as pieces:
            for piece in pieces:
                tokens += piece.alive
                if piece.completion_tokens is not None:
                    counts["tokens"] = piece.completion_tokens
                if piece.prompt_tokens is not None:
                    counts["prompt_tokens"] = piece.prompt_tokens
                if delta := whole.add(piece.text):
                    text += delta
                    yield CompletionResponse(text=text, delta=delta, raw={"tokens": tokens})
        delta = whole.end()
        raw = {"tokens": tokens} | counts
        yield CompletionResponse(text=text + delta, delta=delta, raw=raw)

    def _body(self, prompt: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        messages = [{"role": role, "content": text} for role, text in split(prompt)]
        return {
            "model": self._facts.model,
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True},
            **fields,
        }
