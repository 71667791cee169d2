"""LlamaIndex's stock query engines over documents, with the models that Cloister has."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llama_index.core import Document, VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.types import CompletionResponseGen
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.llms import LLM
from llama_index.core.query_engine import CitationQueryEngine

from rag.models.engine import LocalLLM

_MARK = re.compile(r"\[(\d{1,3})\]")


@dataclass(frozen=True, slots=True)
class Reply:
    """What an engine answers, and the names of the documents that it cites by `[n]`."""

    text: str
    cited: Sequence[str]


class ChattingLLM(LocalLLM):
    """Cloister's LLM for programs that know neither its chat template nor how long answers are."""

    _new_tokens: int = PrivateAttr(default=128)

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.messages_to_prompt = self.prompt

    def at_most(self, tokens: int) -> None:
        """Give answers at most so many tokens."""
        self._new_tokens = tokens

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        """As the LLM does, with a limit that is not transformers' own of 20 tokens."""
        return super().stream_complete(
            prompt, formatted, **{"max_new_tokens": self._new_tokens, **kwargs}
        )


class Engines:
    """`index.as_query_engine` and `CitationQueryEngine`, both with their own prompts.

    Texts are cut by the default splitter, and so many nodes are retrieved as Cloister's LLM gets
    passages; everything else has its default.
    """

    def __init__(
        self, texts: Mapping[str, str], embedder: BaseEmbedding, llm: LLM, nodes: int
    ) -> None:
        documents = [Document(text=text, metadata={"name": name}) for name, text in texts.items()]
        index = VectorStoreIndex.from_documents(documents, embed_model=embedder)
        self._plain = index.as_query_engine(llm=llm, similarity_top_k=nodes)
        self._citing = CitationQueryEngine.from_args(index, llm=llm, similarity_top_k=nodes)

    def plain(self, question: str) -> Reply:
        """The answer of the stock query engine, which cites nothing."""
        return Reply(str(self._plain.query(question)), ())

    def citing(self, question: str) -> Reply:
        """The answer of `CitationQueryEngine`, with the documents of the sources that it marks."""
        response: Any = self._citing.query(question)
        names = [node.node.metadata["name"] for node in response.source_nodes]
        marks = (int(number) for number in _MARK.findall(str(response)))
        return Reply(str(response), [names[n - 1] for n in marks if 0 < n <= len(names)])
