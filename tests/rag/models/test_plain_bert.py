"""The short way through the embedder: of a question the same bits, or not taken at all."""

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

from rag.models import plain_bert
from rag.models.embedder import LocalEmbedding
from rag.models.plain_bert import PlainBert, find_plain
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
    assert model._plain is not None
    ordered = precision == "bfloat16" and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    assert (model._plain._asked is not model._plain._layers) == ordered
    rows = [json.loads(line) for line in QUESTIONS.read_text("utf-8").splitlines()]
    texts = [row["question"] for row in rows[::12]]
    for text in (*texts, "", " ", "[MASK] and [SEP]", "naïve ΑΒΓ 漢字 ﬁ", "valve, " * 300):
        whole = model._model.encode_query([text], normalize_embeddings=True, convert_to_tensor=True)
        assert model.query_vector(text).tolist() == whole[0].float().tolist()


def test_weights_that_cannot_be_ordered_are_taken_as_they_are(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(_: object) -> None:
        raise RuntimeError("mkldnn_reorder_linear_weight: bf16 path needs the cpu support avx512bw")

    monkeypatch.setattr(plain_bert, "_packed", refuses)
    model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.bfloat16})
    plain = find_plain(model.eval(), LocalEmbedding(folder, "cpu", "bfloat16", 8).query_vector)
    assert plain is not None
    assert plain._asked is plain._layers


def test_what_others_have_the_tokenizer_cut_off_does_not_matter(model: Any) -> None:
    plain = find_plain(model, lambda text: by_modules(model, text))
    assert plain is not None
    long = "where is the askbodan in hall " * 9
    before = plain.vector(long)
    model.tokenizer("where is the", truncation=True, max_length=4, padding="max_length")
    assert plain.vector(long).tolist() == before.tolist()
    model.tokenizer(long)
    assert plain.vector(long).tolist() == before.tolist()


def test_a_vector_that_differs_in_one_bit_is_not_taken(model: Any) -> None:
    def nearly(text: str) -> NDArray[np.float32]:
        found = by_modules(model, text).copy()
        found[0] = np.nextafter(found[0], np.float32(2))
        return found

    assert find_plain(model, nearly) is None


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
    assert find_plain(model, lambda text: vector(model, text)) is None


def test_it_keeps_no_gradients(model: Any) -> None:
    plain = find_plain(model, lambda text: by_modules(model, text))
    assert plain is not None
    assert not plain._type.requires_grad
    with torch.enable_grad():
        assert plain.vector("where is the askbodan").shape == (32,)


@pytest.mark.parametrize(("precision", "nearest"), [("float32", 0.999999), ("bfloat16", 0.999)])
def test_texts_of_unlike_lengths_have_the_vectors_of_the_modules(
    models_path: Path, precision: str, nearest: float
) -> None:
    model = LocalEmbedding(models_path / "all-MiniLM-L6-v2", "cpu", precision, 8)
    assert model._plain is not None
    ordered = precision == "bfloat16" and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    assert (model._plain._asked is not model._plain._layers) == ordered
    rows = [json.loads(line) for line in QUESTIONS.read_text("utf-8").splitlines()]
    questions = [row["question"] for row in rows[::24]]
    texts = [*questions, " ".join(questions) * 3, "", "naïve ΑΒΓ 漢字 ﬁ", "valve, " * 300]
    whole = model._model.encode_document(texts, batch_size=3, normalize_embeddings=True)
    whole /= np.linalg.norm(whole, axis=1, keepdims=True)
    found = np.array(model.get_text_embedding_batch(texts))
    assert (found * whole).sum(axis=1).min() > nearest
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(len(texts)), abs=1e-5)


def test_a_text_has_the_same_vector_beside_longer_ones(model: Any) -> None:
    plain = find_plain(model, lambda text: by_modules(model, text))
    assert plain is not None
    texts = ["where is", "where is the askbodan in hall", "the askbodan"]
    together = plain.vectors(texts)
    for text, vector in zip(texts, together, strict=True):
        assert vector == pytest.approx(plain.vectors([text])[0], abs=1e-6)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_batch_that_reads_its_padding_is_not_taken(
    models_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    precision: str,
) -> None:
    states = PlainBert._states
    monkeypatch.setattr(
        PlainBert, "_states", lambda self, ids, _there, *rest: states(self, ids, None, *rest)
    )
    caplog.set_level("INFO")
    assert LocalEmbedding(models_path / "all-MiniLM-L6-v2", "cpu", precision, 8)._plain is None
    assert "it gives other vectors in a batch" in caplog.text


def test_a_batch_of_no_numbers_is_not_taken(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = np.full((4, 32), np.nan, dtype=np.float32)
    monkeypatch.setattr(PlainBert, "vectors", lambda _self, _texts: nothing)
    assert find_plain(model, lambda text: by_modules(model, text)) is None


def test_no_text_has_no_vector(folder: Path) -> None:
    assert LocalEmbedding(folder, "cpu", "float32", 8)._get_text_embeddings([]) == []


def test_texts_with_a_prompt_go_through_the_modules(folder: Path) -> None:
    model = LocalEmbedding(folder, "cpu", "float32", 8)
    assert model._plain is not None
    plain = model.get_text_embedding("where is the askbodan")
    for name in ("document", "passage", "corpus", "own"):
        model._model.prompts = {name: "in hall "}
        model._model.default_prompt_name = "own" if name == "own" else None
        with_prompt = model.get_text_embedding("where is the askbodan")
        whole = model._model.encode_document(["where is the askbodan"], normalize_embeddings=True)
        assert with_prompt == pytest.approx(whole[0].tolist())
        assert with_prompt != pytest.approx(plain)
