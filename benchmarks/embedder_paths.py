"""The embedder by other ways of computing it: how fast, and how near to the plain one.

Chunk texts of `sample_docs/library` are embedded by bare sentence-transformers as it comes (in
float32, batches of 32), as Cloister does, in bfloat16, and by ONNX Runtime from an export made
here, with batches of Cloister's size in as many lanes; then one question at a time. Every way has
its turn in each round. The packages that write an ONNX file (about 85 MB) are fetched once, into
`benchmarks/.onnx`; where that is not possible ONNX is left out.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _common import (
    Figure,
    Options,
    alternate,
    bench_settings,
    embedder_folder,
    median_ratio,
    questions,
    raw_embedder,
    run_benchmark,
    run_quietly,
    say,
    scratch,
)
from ingest_rate import ingest

from rag.embedding import Embedder, Vectors
from rag.errors import CloisterError
from rag.models.embedder import LocalEmbedding
from rag.tokens import guessed_offsets

_HERE = Path(__file__).resolve().parent
_ONNX = _HERE / ".onnx"
_PACKAGES = ("onnx==1.23.2", "onnxscript==0.7.2", "onnx-ir==1.1.0", "ml-dtypes==0.6.0")
_PLAIN, _OWN, _HALF, _RUNTIME = "as it comes", "as Cloister does", "bfloat16", "ONNX Runtime"

Embed = Callable[[list[str]], Vectors]
Ask = Callable[[str], object]


def measure(options: Options) -> Sequence[Figure]:
    """Time of texts and of a question by each way, to that of the plain one, and the cosine."""
    with scratch() as folder:
        settings = bench_settings(folder / "home")
        model = embedder_folder(settings)
        _, texts = ingest(settings, _HERE.parent / "sample_docs" / "library")
        texts = texts[:24] if options.small else texts
        asked = [row["question"] for row in questions()][: 8 if options.small else 40]
        batch, plain = settings.embedder_batch, raw_embedder(settings)
        own, half = _local(model, "float32", batch), _local(model, "bfloat16", batch)
        ways: dict[str, Embed] = {
            _PLAIN: lambda some: plain.encode(some, batch_size=32, normalize_embeddings=True),
            _OWN: own.texts,
            _HALF: half.texts,
        }
        asks: dict[str, Ask] = {
            _PLAIN: lambda one: plain.encode_query([one], normalize_embeddings=True),
            _OWN: own.query,
            _HALF: half.query,
        }
        if exported := export(model, folder / "embedder.onnx"):
            ways[_RUNTIME] = _runtime(exported, model, batch, 1).texts
            asks[_RUNTIME] = _runtime(exported, model, batch, torch.get_num_threads()).query
        vectors = {name: way(texts) for name, way in ways.items()}
        rounds = 1 if options.small else 3
        say(f"{len(texts)} texts and {len(asked)} questions, {rounds} rounds")
        many = alternate(rounds, **{n: lambda w=way: w(texts) for n, way in ways.items()})
        single = alternate(
            rounds, **{n: lambda a=ask: [a(q) for q in asked] for n, ask in asks.items()}
        )
    others = [name for name in ways if name != _PLAIN]
    return [
        *(
            Figure(f"{n}: texts/s to sentence-transformers {_PLAIN}", _speed(many, n), "×")
            for n in others
        ),
        *(
            Figure(f"{n}: questions/s to sentence-transformers {_PLAIN}", _speed(single, n), "×")
            for n in others
        ),
        *(Figure(f"{n}: least cosine to float32", _nearest(vectors, n), "") for n in others),
        Figure("texts", len(texts), "texts"),
    ]


def export(model: Path, target: Path) -> Path | None:
    """The embedder as an ONNX file, pooling and length 1 included; None where pip cannot help."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade"]
    try:
        if not (_ONNX / "onnxscript").is_dir():
            say("fetching what writes ONNX files into benchmarks/.onnx (about 85 MB), once")
            run_quietly([*pip, "--target", str(_ONNX), *_PACKAGES])
        say("exporting the embedder")
        child = [sys.executable, str(_HERE / "_onnx_export.py"), str(model), str(target)]
        run_quietly(child, {**os.environ, "PYTHONPATH": str(_ONNX), "HF_HUB_OFFLINE": "1"})
    except CloisterError as error:
        say(f"ONNX is left out. {error}")
        return None
    return target


def _local(model: Path, precision: str, batch: int) -> Embedder:
    local = LocalEmbedding(model, "cpu", precision, batch)
    asked = local.query_vector
    return Embedder(local, "", batch, guessed_offsets, lanes=local.lanes, asked=asked)


def _runtime(exported: Path, model: Path, batch: int, threads: int) -> Embedder:
    """ONNX Runtime in Cloister's batches and lanes, with so many threads for each."""
    import onnxruntime
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from tokenizers import Tokenizer

    from rag.models.lanes import Lanes, lanes_for

    wanted = onnxruntime.SessionOptions()
    wanted.intra_op_num_threads, wanted.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(str(exported), wanted)
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()

    class Runtime(BaseEmbedding):
        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            read = tokenizer.encode_batch(texts)
            given = {
                "input_ids": np.array([one.ids for one in read]),
                "attention_mask": np.array([one.attention_mask for one in read]),
            }
            vectors: list[list[float]] = session.run(None, given)[0].tolist()
            return vectors

        def _get_text_embedding(self, text: str) -> list[float]:
            return self._get_text_embeddings([text])[0]

        def _get_query_embedding(self, query: str) -> list[float]:
            return self._get_text_embeddings([query])[0]

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_query_embedding(query)

    made = Runtime(embed_batch_size=batch)
    return Embedder(made, "", batch, guessed_offsets, lanes=Lanes(lanes_for("cpu")))


def _speed(seconds: dict[str, list[float]], name: str) -> float:
    return median_ratio(seconds[_PLAIN], seconds[name])


def _nearest(vectors: dict[str, Any], name: str) -> float:
    return float((vectors[name] * vectors[_PLAIN]).sum(axis=1).min())


if __name__ == "__main__":
    sys.exit(run_benchmark("embedder_paths", __doc__ or "", measure))
