"""A question's short way through the embedder: the same bits, or not taken at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

from rag.models.embedder import LocalEmbedding
from rag.models.question_network import find_network
from tests.rag.tuning.tiny_embedder import make_embedder

QUESTIONS = Path(__file__).parents[3] / "sample_docs" / "questions.jsonl"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_embedder(tmp_path_factory.mktemp("tiny") / "tiny")


@pytest.fixture
def model(folder: Path) -> Any:
    return SentenceTransformer(str(folder), device="cpu").eval()


def by_modules(model: Any, text: str) -> NDArray[np.float32]:
    found: NDArray[np.float32] = model.encode_query(
        [text], normalize_embeddings=True, show_progress_bar=False
    )
    return found[0].astype(np.float32)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_question_has_the_vector_of_the_modules_to_the_last_bit(
    models_path: Path, precision: str
) -> None:
    model = LocalEmbedding(models_path / "all-MiniLM-L6-v2", "cpu", precision, 8)
    assert model._network is not None
    rows = [json.loads(line) for line in QUESTIONS.read_text("utf-8").splitlines()]
    texts = [row["question"] for row in rows[::12]]
    for text in (*texts, "", " ", "[MASK] and [SEP]", "naïve ΑΒΓ 漢字 ﬁ", "valve, " * 300):
        whole = model._model.encode_query([text], normalize_embeddings=True, convert_to_tensor=True)
        assert model.query_vector(text).tolist() == whole[0].float().tolist()


def test_what_others_have_the_tokenizer_cut_off_does_not_matter(model: Any) -> None:
    network = find_network(model, lambda text: by_modules(model, text))
    assert network is not None
    long = "where is the askbodan in hall " * 9
    before = network.vector(long)
    model.tokenizer("where is the", truncation=True, max_length=4, padding="max_length")
    assert network.vector(long).tolist() == before.tolist()
    model.tokenizer(long)
    assert network.vector(long).tolist() == before.tolist()


def test_a_vector_that_differs_in_one_bit_is_not_taken(model: Any) -> None:
    def nearly(text: str) -> NDArray[np.float32]:
        found = by_modules(model, text).copy()
        found[0] = np.nextafter(found[0], np.float32(2))
        return found

    assert find_network(model, nearly) is None


@pytest.mark.parametrize("change", ["cls", "no length", "relu", "layers", "eager"])
def test_another_network_goes_through_its_modules(folder: Path, change: str) -> None:
    first = Transformer(str(folder), max_seq_length=24)
    pooling = Pooling(32, pooling_mode="cls" if change == "cls" else "mean")
    modules = [first, pooling, *([] if change == "no length" else [Normalize()])]
    model = SentenceTransformer(modules=modules, device="cpu").eval()
    if change == "relu":
        model[0].model.config.hidden_act = "relu"
    if change == "eager":
        model[0].model.config._attn_implementation = "eager"
    if change == "layers":
        del model[0].model.encoder.layer[0].output  # what it cannot read raises nothing
    vector = by_modules if change != "layers" else lambda _model, _text: np.zeros(32, np.float32)
    assert find_network(model, lambda text: vector(model, text)) is None


def test_it_keeps_no_gradients(model: Any) -> None:
    network = find_network(model, lambda text: by_modules(model, text))
    assert network is not None
    assert not network._type.requires_grad
    with torch.enable_grad():
        assert network.vector("where is the askbodan").shape == (32,)
