"""The in-process embedder: sentence-transformers behind LlamaIndex's `BaseEmbedding`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr

from rag.models.device import be_quiet, not_loaded, pick_device, pick_precision
from rag.models.lanes import Lanes, lanes_for


class LocalEmbedding(BaseEmbedding):
    """Vectors of length 1 from a sentence-transformers folder. Never contacts a hub.

    `lanes` computes several batches at once.
    """

    _model: Any = PrivateAttr()
    _lanes: Lanes = PrivateAttr()

    def __init__(self, folder: Path, device: str, precision: str, batch: int) -> None:
        super().__init__(model_name=folder.name, embed_batch_size=batch)
        be_quiet()
        from sentence_transformers import SentenceTransformer

        place = pick_device(device)
        try:
            self._model = SentenceTransformer(
                str(folder),
                device=place,
                local_files_only=True,
                model_kwargs={"dtype": pick_precision(precision, place)},
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise not_loaded("embedder", folder, error) from error
        self._model.eval()
        self._lanes = Lanes(lanes_for(place))

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

    def _get_query_embedding(self, query: str) -> list[float]:
        """The numbers that `encode_query` gives, without what that looks after for many texts.

        With a small model that is a tenth of the time.
        """
        import torch

        model = self._model
        prompts = model.prompts or {}
        prompt = prompts.get("query", prompts.get(model.default_prompt_name))
        with torch.inference_mode():
            features = model.preprocess([query], prompt=prompt, task="query")
            placed = {
                name: value.to(model.device) if isinstance(value, torch.Tensor) else value
                for name, value in features.items()
            }
            vector = model(placed, task="query")["sentence_embedding"][:, : model.truncate_dim]
            unit: list[list[float]] = torch.nn.functional.normalize(vector, p=2, dim=1).tolist()
        return unit[0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)

    def _encode(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = self._model.encode_document(
            texts,
            batch_size=self.embed_batch_size,
            normalize_embeddings=True,
            show_progress_bar=False,
        ).tolist()
        return vectors
