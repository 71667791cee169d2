"""The embedder that is tuned: all of its weights, in float32."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rag.errors import ModelError, StorageError
from rag.models.device import be_quiet, pick_device, told_if_not_loaded
from rag.models.folder import ModelFolder
from rag.tuning.embedder.batching import Piece, passes, piece_of
from rag.tuning.embedder.pairs import Pair
from rag.tuning.recipe import EmbedderRecipe


class EmbedderNetwork:
    """An embedder and its loss: each question's own passage against all others of its step.

    The loss is sentence-transformers' `MultipleNegativesRankingLoss` (Henderson et al. 2017), with
    the other questions' passages and some that are known not to answer as negatives.
    """

    def __init__(self, base: ModelFolder, device: str, recipe: EmbedderRecipe) -> None:
        be_quiet()
        import torch
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

        self.device = pick_device(device)
        with told_if_not_loaded("embedder", base.path):
            self.model: Any = SentenceTransformer(
                str(base.path),
                device=self.device,
                local_files_only=True,
                model_kwargs={"dtype": torch.float32},
            )
        self._recipe = recipe
        self._loss: Any = MultipleNegativesRankingLoss(self.model)
        self.most_tokens = recipe.batch

    @property
    def parameters(self) -> list[Any]:
        """All weights."""
        return list(self.model.parameters())

    def pieces(self, rows: Sequence[Pair]) -> list[Piece]:
        """The pairs in pieces of a step's size: what a loss is depends on what is in its step."""
        batches = passes(rows, self._recipe.batch, 1, self._recipe.seed)
        return [piece_of(batch, self._recipe.negatives) for batch in batches]

    def loss(self, piece: Piece) -> Any:
        """The loss of a piece's questions, summed, as a scalar tensor."""
        parts = [
            self._vectors(piece.questions, "query"),
            self._vectors(piece.positives, "document"),
        ]
        if piece.negatives:
            parts.append(self._vectors(piece.negatives, "document"))
        return self._loss.compute_loss_from_embeddings(parts, None) * piece.tokens

    def halve(self, rows: Sequence[Pair]) -> bool:
        """Raises ModelError: with fewer passages at once it would be another loss."""
        raise ModelError(
            f"The memory is too short for {self._recipe.batch} questions a step, each with its "
            "passage and those that do not answer it. Give the command with a smaller --batch or "
            "--negatives, or end other programs and give the same command again."
        )

    def state(self) -> dict[str, Any]:
        """A copy of the weights, on the CPU."""
        return {k: v.detach().cpu().clone() for k, v in self.model.state_dict().items()}

    def load(self, state: dict[str, Any]) -> None:
        """Put weights back."""
        self.model.load_state_dict(state)

    def save(self, folder: Path) -> None:
        """Write the whole embedder, its weights as safetensors. Raises StorageError."""
        try:
            self.model.save_pretrained(
                str(folder), create_model_card=False, safe_serialization=True
            )
        except OSError as error:
            raise StorageError(
                f"The embedder cannot be written: {error.strerror or error}. Make room and give "
                "the same command again."
            ) from error

    def _vectors(self, texts: Sequence[str], role: str) -> Any:
        prompt = (self.model.prompts or {}).get(role) or ""
        features = self.model.preprocess([f"{prompt}{text}" for text in texts])
        moved = {k: v.to(self.device) if hasattr(v, "to") else v for k, v in features.items()}
        return self.model(moved)["sentence_embedding"]
