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
from rag.models.plain_bert import PlainBert, find_plain
from rag.models.threads import settle


class LocalEmbedding(BaseEmbedding):
    """Vectors of length 1 from a sentence-transformers folder. Never contacts a hub.

    `lanes` computes several batches at once.
    """

    _model: Any = PrivateAttr()
    _lanes: Lanes = PrivateAttr()
    _plain: PlainBert | None = PrivateAttr(default=None)

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
        self._plain = find_plain(self._model, self.query_vector)

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
        prompt = self._prompt("query")
        if self._plain and not prompt and model.truncate_dim is None:
            return self._plain.vector(query)
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

    def _prompt(self, *names: str) -> str | None:
        """The first of these prompts that the model has, else its own for all texts, if any."""
        prompts, default = self._model.prompts or {}, self._model.default_prompt_name
        name = next((name for name in names if name in prompts), default)
        found: str | None = prompts.get(name) if name else None
        return found

    def _encode(self, texts: list[str]) -> list[list[float]]:
        if not texts:
            return []
        settle()
        vectors: list[list[float]]
        if (
            self._plain
            and not self._prompt("document", "passage", "corpus")
            and self._model.truncate_dim is None
        ):
            vectors = self._plain.vectors(texts).tolist()
            return vectors
        vectors = self._model.encode_document(
            texts,
            batch_size=self.embed_batch_size,
            normalize_embeddings=True,
            show_progress_bar=False,
        ).tolist()
        return vectors
