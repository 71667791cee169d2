"""The in-process embedder: sentence-transformers behind LlamaIndex's `BaseEmbedding`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr
from numpy.typing import NDArray

from rag.models.device import be_quiet, pick_device, pick_precision, told_if_not_loaded
from rag.models.lanes import Lanes, lanes_for
from rag.models.question_network import QuestionNetwork, find_network
from rag.models.threads import settle


class LocalEmbedding(BaseEmbedding):
    """Vectors of length 1 from a sentence-transformers folder. Never contacts a hub.

    `lanes` computes several batches at once.
    """

    _model: Any = PrivateAttr()
    _lanes: Lanes = PrivateAttr()
    _network: QuestionNetwork | None = PrivateAttr(default=None)

    def __init__(self, folder: Path, device: str, precision: str, batch: int) -> None:
        super().__init__(model_name=folder.name, embed_batch_size=batch)
        be_quiet()
        from sentence_transformers import SentenceTransformer

        place = pick_device(device)
        with told_if_not_loaded("embedder", folder):
            self._model = SentenceTransformer(
                str(folder),
                device=place,
                local_files_only=True,
                model_kwargs={"dtype": pick_precision(precision, place)},
            )
        self._model.eval()
        self._lanes = Lanes(lanes_for(place))
        self._network = find_network(self._model, self.query_vector)

    @property
    def lanes(self) -> Lanes:
        """The threads that compute, one batch each."""
        return self._lanes

    @property
    def text_tokens(self) -> int:
        """How many tokens of a text it reads, beside its special ones and its prompt for texts."""
        tokenizer = self._model.tokenizer
        prompt = (self._model.prompts or {}).get("document") or ""
        used = len(tokenizer(prompt)["input_ids"])  # the special ones included
        return max(1, int(self._model.max_seq_length or tokenizer.model_max_length) - used)

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._encode(texts)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._encode([text])[0]

    def query_vector(self, query: str) -> NDArray[np.float32]:
        """The vector of a question, shape (dimensions,), as sentence-transformers gives it.

        The steps of its `encode_query`, to the same bits, without what that does for many texts
        at once: on a processor that, LlamaIndex's events and a list of floats cost about a
        seventh of the network. A question without a prompt takes the network's short way, if there
        is one.
        """
        import torch

        settle()
        model = self._model
        prompts, name = model.prompts or {}, model.default_prompt_name
        prompt = prompts.get("query", prompts.get(name) if name else None)
        if self._network and not prompt and model.truncate_dim is None:
            return self._network.vector(query)
        with torch.inference_mode():
            features = model.preprocess([query], prompt=prompt, task="query")
            on_device = {
                key: value.to(model.device) if isinstance(value, torch.Tensor) else value
                for key, value in features.items()
            }
            found = model(on_device, task="query")["sentence_embedding"]
            if model.truncate_dim is not None:
                found = found[..., : model.truncate_dim]
            unit = torch.nn.functional.normalize(found, p=2, dim=1)
            vector: NDArray[np.float32] = unit[0].float().cpu().numpy()
        return vector

    def _get_query_embedding(self, query: str) -> list[float]:
        vector: list[float] = self.query_vector(query).tolist()
        return vector

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)

    def _encode(self, texts: list[str]) -> list[list[float]]:
        settle()
        vectors: list[list[float]] = self._model.encode_document(
            texts,
            batch_size=self.embed_batch_size,
            normalize_embeddings=True,
            show_progress_bar=False,
        ).tolist()
        return vectors
