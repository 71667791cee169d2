"""LlamaIndex's stock pipeline over a folder, in a process of its own; Cloister is not imported.

`_stock.py DOCUMENTS MODEL STORE CHUNK_TOKENS` prints one JSON line. Everything has its default
but the chunk size, which is counted in the embedder's own tokens, without overlap. One thing is
mended: the reader of PPTX files gives metadata that the Chroma store refuses; it is left out.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from pathlib import Path

import chromadb
from chromadb.config import Settings
from llama_index.core import SimpleDirectoryReader
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import MetadataMode
from tokenizers import Tokenizer

# what the embedder reads of a text beside its two marks
_LIMIT = 254


def main(documents: str, model: str, store: str, chunk_tokens: str) -> None:
    """Load the model and warm it up, then read, split, embed and store, timed."""
    tokenizer = Tokenizer.from_str((Path(model) / "tokenizer.json").read_text("utf-8"))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def tokens(text: str) -> list[int]:
        found: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return found

    embedding = import_module("llama_index.embeddings.huggingface").HuggingFaceEmbedding(
        model_name=model
    )
    embedding.get_text_embedding_batch(["warm up " * 50] * 10)
    client = chromadb.PersistentClient(store, Settings(anonymized_telemetry=False))
    collection = client.get_or_create_collection("stock", embedding_function=None)
    vectors = import_module("llama_index.vector_stores.chroma").ChromaVectorStore(
        chroma_collection=collection
    )
    splitter = SentenceSplitter(chunk_size=int(chunk_tokens), chunk_overlap=0, tokenizer=tokens)
    pipeline = IngestionPipeline(transformations=[splitter, embedding], vector_store=vectors)
    started = time.perf_counter()
    read = SimpleDirectoryReader(documents, recursive=True).load_data()
    for document in read:
        document.metadata = {k: v for k, v in document.metadata.items() if _stored(v)}
    nodes = pipeline.run(documents=read)
    seconds = time.perf_counter() - started
    texts = [node.get_content(MetadataMode.EMBED) for node in nodes]
    embedded = sum(min(_LIMIT, len(tokens(text))) for text in texts)
    print(json.dumps({"seconds": seconds, "chunks": len(nodes), "tokens": embedded}))


def _stored(value: object) -> bool:
    """Whether the Chroma store takes this as metadata."""
    return value is None or isinstance(value, (str, int, float))


if __name__ == "__main__":
    main(*sys.argv[1:])
