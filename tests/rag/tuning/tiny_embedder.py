"""An embedder made on the spot: a BERT of two layers that knows no word, and facts to learn."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from transformers import BertConfig, BertModel, BertTokenizerFast

# what questions call things, and what passages call them
WORDS = {
    f"ask{a}{b}": f"tell{a}{b}"
    for a in ("bo", "ka", "ri", "mu", "lo", "pe")
    for b in ("dan", "fel", "gor", "hit")
}


def make_embedder(folder: Path, seed: int = 0) -> Path:
    """An embedder of some 30,000 weights, as sentence-transformers saves it."""
    plain = folder.with_name(f"{folder.name}-plain")
    plain.mkdir(parents=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "where", "is", "the", "in", "hall"]
    names = [*words, *WORDS, *WORDS.values(), *map(str, range(30))]
    (plain / "vocab.txt").write_text("\n".join(names) + "\n")
    BertTokenizerFast(vocab=str(plain / "vocab.txt")).save_pretrained(plain)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(names),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=32,
    )
    BertModel(config).save_pretrained(plain)
    first = Transformer(str(plain), max_seq_length=24)
    SentenceTransformer(
        modules=[first, Pooling(32, pooling_mode="mean"), Normalize()], device="cpu"
    ).save_pretrained(str(folder), create_model_card=False)
    return folder


def write_questions(path: Path, documents: int = 4) -> Path:
    """A question for each word in each document, half of them as an LLM's examples."""
    rows = []
    for number, (asked, told) in enumerate(WORDS.items()):
        for document in range(documents):
            passage = f"the {told} is in hall {document}"
            other = f"the {list(WORDS.values())[number - 1]} is in hall {document}"
            question = f"where is the {asked} in {document}"
            if number % 2:
                rows.append(
                    {
                        "question": question,
                        "positive": passage,
                        "negatives": [other],
                        "document": f"d{document}",
                    }
                )
            else:
                rows.append(
                    {
                        "question": question,
                        "passages": [{"title": "", "text": other}, {"title": "", "text": passage}],
                        "answer": f"{passage} [2].",
                        "document": f"d{document}",
                    }
                )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path
