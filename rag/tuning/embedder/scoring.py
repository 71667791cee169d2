"""How well an embedder finds the passages that answer, among all passages of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from rag.evaluation.metrics import mean, retrieval_scores
from rag.tuning.embedder.pairs import Asked

Scores = dict[str, float | None]

_BATCH = 16
_DEPTH = 10


def score(
    folder: Path, device: str, precision: str, asked: Sequence[Asked], passages: Sequence[str]
) -> list[dict[str, float]]:
    """recall@1, recall@5, MRR@10 and nDCG@10 of each question over passages, by the cosine alone.

    The embedder is loaded as it is to answer questions. Raises ModelError where it does not load.
    """
    from rag.models.embedder import LocalEmbedding

    model = LocalEmbedding(folder, device, precision, _BATCH)
    vectors = np.asarray(model.get_text_embedding_batch(list(passages)), dtype=np.float32)
    places = {text: place for place, text in enumerate(passages)}
    rows = []
    for one in asked:
        near = vectors @ np.asarray(model.get_query_embedding(one.question), dtype=np.float32)
        order = np.argsort(-near, kind="stable")[:_DEPTH].tolist()
        wanted = {places[text] for text in one.positives}
        ranks = [rank for rank, place in enumerate(order, 1) if place in wanted]
        found = retrieval_scores(ranks, len(wanted))
        first = sum(rank == 1 for rank in ranks) / len(wanted)
        rows.append({"recall@1": first} | found)
    return rows


def means(rows: Sequence[Mapping[str, float]]) -> Scores:
    """The mean of each score over the questions."""
    names = ("recall@1", "recall@5", "mrr@10", "ndcg@10")
    return {name: mean(row[name] for row in rows) for name in names}


def is_better(tuned: Scores, base: Scores) -> bool:
    """Whether a tuned embedder may be used: a higher nDCG@10, and no lower recall@5."""
    return (tuned["ndcg@10"] or 0.0) > (base["ndcg@10"] or 0.0) and (tuned["recall@5"] or 0.0) >= (
        base["recall@5"] or 0.0
    )
