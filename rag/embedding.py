"""Text to vectors, through any embedder that LlamaIndex can plug in."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelError
from rag.plugging import advice, resolve
from rag.settings import Settings
from rag.tokens import LIMIT, Offsets, guessed_offsets, tokenizer_offsets

if TYPE_CHECKING:
    from llama_index.core.base.embeddings.base import BaseEmbedding

    from rag.models.lanes import Lanes

Vectors = NDArray[np.float32]

_SETTING = "embedder.model"


class Embedder:
    """A loaded embedder.

    `fingerprint` names the weights: vectors of two are never mixed. `offsets` gives the character
    span of each token of a text as this embedder cuts it; it reads `limit` of them. With `lanes`
    several batches are computed at once, which the model must allow. `asked` makes the vector of a
    question where the model has a shorter way than LlamaIndex's.
    """

    def __init__(
        self,
        model: BaseEmbedding,
        fingerprint: str,
        batch: int,
        offsets: Offsets,
        limit: int = LIMIT,
        lanes: Lanes | None = None,
        asked: Callable[[str], Vectors] | None = None,
    ) -> None:
        self._model = model
        self._lanes = lanes
        self._asked: Callable[[str], object] = asked or model.get_query_embedding
        self.offsets = offsets
        self._batch = batch
        self.fingerprint = fingerprint
        self.limit = limit

    def query(self, text: str) -> Vectors:
        """The vector of a question, shape (dimensions,), of length 1."""
        vector: Vectors = np.asarray(self._asked(text), dtype=np.float32)
        return _unit(vector[None, :]).reshape(-1)

    def texts(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Vectors:
        """The vectors of texts, shape (n, dimensions), each of length 1.

        Longest first, so that a batch is padded little; `progress` hears how many are done.
        """
        order = np.argsort([-len(text) for text in texts], kind="stable")
        batches = [
            [texts[i] for i in order[start : start + self._batch]]
            for start in range(0, len(texts), self._batch)
        ]
        parts: list[Vectors] = []
        done = 0
        with contextlib.closing(self._computed(batches)) as computed:
            for part in computed:
                parts.append(part)
                done += len(part)
                if progress:
                    progress(done)
        result = np.empty((len(texts), parts[0].shape[1] if parts else 0), dtype=np.float32)
        if parts:
            result[order] = np.concatenate(parts)
        return result

    def _computed(self, batches: Sequence[list[str]]) -> Generator[Vectors, None, None]:
        if self._lanes and len(batches) > 1:
            yield from self._lanes.map(self._vectors, batches)
        else:
            yield from map(self._vectors, batches)

    def _vectors(self, batch: list[str]) -> Vectors:
        vectors = self._model.get_text_embedding_batch(batch)
        return _unit(np.asarray(vectors, dtype=np.float32))


def load_embedder(settings: Settings) -> Embedder:
    """The embedder that the settings name: a model folder, or `package.module:Class`.

    Raises ModelError when it is missing, altered or does not load.
    """
    if ":" in settings.embedder_model:
        model = _plugged(settings.embedder_model)
        name = embedder_fingerprint(settings)
        return Embedder(model, name, settings.embedder_batch, guessed_offsets)
    from rag.models.embedder import LocalEmbedding
    from rag.models.folder import find_model, verify

    folder = find_model(settings.models_path, settings.embedder_model)
    verify(folder)
    model = LocalEmbedding(
        folder.path, settings.embedder_device, settings.embedder_precision, settings.embedder_batch
    )
    name = embedder_fingerprint(settings)
    offsets = tokenizer_offsets(folder.path)
    return Embedder(
        model,
        name,
        settings.embedder_batch,
        offsets,
        model.text_tokens,
        model.lanes,
        model.query_vector,
    )


def embedder_fingerprint(settings: Settings) -> str:
    """The fingerprint of the embedder that the settings name, which is not loaded."""
    if ":" in settings.embedder_model:
        return _fingerprint(settings.embedder_model, "")
    from rag.models.folder import find_model

    folder = find_model(settings.models_path, settings.embedder_model)
    return _fingerprint(folder.name, folder.revision)


def _plugged(dotted: str) -> BaseEmbedding:
    from llama_index.core.base.embeddings.base import BaseEmbedding

    model = resolve(dotted, _SETTING)()
    if not isinstance(model, BaseEmbedding):
        raise ModelError(f"“{dotted}” is not a LlamaIndex BaseEmbedding. {advice(_SETTING)}")
    return model


def _fingerprint(name: str, revision: str) -> str:
    """12 hexadecimal digits that name a model in a revision."""
    return hashlib.sha256(f"{name}\0{revision}".encode()).hexdigest()[:12]


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = vectors / np.maximum(lengths, 1e-12)
    return scaled
