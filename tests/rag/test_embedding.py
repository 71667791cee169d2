"""What every embedder must do, the stand-in and the real one alike."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag.embedding import Embedder, load_embedder
from rag.errors import ModelError
from rag.models.lanes import Lanes
from rag.settings import Settings


@pytest.fixture(scope="module", params=["fake", "real"])
def embedder(request: pytest.FixtureRequest, models_path: Path) -> Embedder:
    name = "rag.testing:FakeEmbedding" if request.param == "fake" else "all-MiniLM-L6-v2"
    return load_embedder(Settings(models=models_path, embedder_model=name))


TEXTS = ["Unused leave may be carried over.", "Tea.", "A pump " * 60, "Unused leave carries over."]


def test_vectors_have_length_one_and_keep_the_order(embedder: Embedder) -> None:
    heard: list[int] = []
    vectors = embedder.texts(TEXTS, heard.append)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(4), abs=1e-4)
    assert heard[-1] == len(TEXTS)
    for text, vector in zip(TEXTS, vectors, strict=True):
        assert float(embedder.texts([text])[0] @ vector) > 0.999
    assert float(vectors[0] @ vectors[3]) > float(vectors[0] @ vectors[1])


def test_a_query_is_near_its_text(embedder: Embedder) -> None:
    query = embedder.query("unused leave")
    assert query.shape == (embedder.texts(TEXTS).shape[1],)
    assert int(np.argmax(embedder.texts(TEXTS) @ query)) in (0, 3)


def on_one_core(work: Callable[[], Any]) -> Any:
    """What a work gives on one core: on several the last bits depend on their number."""
    (result,) = Lanes(1).map(lambda _: work(), [None])
    return result


def test_a_question_has_the_vector_that_sentence_transformers_gives(models_path: Path) -> None:
    from rag.models.embedder import LocalEmbedding

    model = LocalEmbedding(models_path / "all-MiniLM-L6-v2", "cpu", "float32", 8)

    def whole(**more: Any) -> list[float]:
        given: Any = {"normalize_embeddings": True, **more}
        found: list[float] = on_one_core(
            lambda: model._model.encode_query(["unused leave"], **given)
        )[0].tolist()
        return found

    for prompts in ({}, {"query": "Find: "}):
        model._model.prompts = prompts
        for asked in (model.get_query_embedding, model.query_vector):
            assert list(on_one_core(partial(asked, "unused leave"))) == whole()
    assert np.array(whole()) @ np.array(whole(prompt="")) < 0.99
    model._model.prompts, model._model.default_prompt_name = {"any": "Read: "}, "any"
    model._model.truncate_dim = 100
    assert on_one_core(lambda: model.query_vector("unused leave")).tolist() == whole()
    assert len(whole()) == 100


def test_a_question_waits_for_no_texts(models_path: Path) -> None:
    from rag.models.embedder import LocalEmbedding

    model = LocalEmbedding(models_path / "all-MiniLM-L6-v2", "cpu", "float32", 8)
    free = threading.Event()
    waiting = [model.lanes.map(lambda _: free.wait(60), range(8))]
    ingest = threading.Thread(target=lambda: list(waiting[0]))
    ingest.start()
    try:
        assert model.query_vector("unused leave").shape == (384,)
        assert ingest.is_alive()
    finally:
        free.set()
        ingest.join()


def test_no_texts_give_no_vectors(embedder: Embedder) -> None:
    assert embedder.texts([]).shape[0] == 0


def test_offsets_are_spans_in_order(embedder: Embedder) -> None:
    text = "Über 1,200 pumps—checked."
    spans = embedder.offsets(text)
    assert len(spans) >= 5
    assert all(0 <= a < b <= len(text) for a, b in spans)
    assert [a for a, _ in spans] == sorted(a for a, _ in spans)


def test_two_embedders_have_two_fingerprints(models_path: Path) -> None:
    real = load_embedder(Settings(models=models_path))
    fake = load_embedder(Settings(embedder_model="rag.testing:FakeEmbedding"))
    assert real.fingerprint != fake.fingerprint
    assert load_embedder(Settings(models=models_path)).fingerprint == real.fingerprint


def test_what_is_no_embedder_is_refused() -> None:
    with pytest.raises(ModelError, match="not a LlamaIndex BaseEmbedding"):
        load_embedder(Settings(embedder_model="rag.testing:FakeLLM"))
