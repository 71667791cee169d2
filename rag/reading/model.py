"""The reader's network: the starter embedder's encoder, tuned, with a span head.

Its word embeddings are the embedder's own and are not trained, so only the encoder's layers and
the head are stored (bfloat16 safetensors).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

# question and context together, in word pieces
MAX_TOKENS = 384
LONGEST_SPAN = 24
# the tokens of a span after its first, and logits of ends behind the last token
_LENGTHS = np.arange(LONGEST_SPAN)
_BEYOND = np.full(LONGEST_SPAN - 1, -np.inf, dtype=np.float32)


class ReaderNetwork(nn.Module):
    """Start and end logits for each token; token 0 stands for “no answer here”.

    (Devlin et al. 2019, section 4.3: BERT for SQuAD 2.0.)
    """

    def __init__(self, base: Path) -> None:
        super().__init__()
        from transformers import AutoModel

        self.bert: Any = AutoModel.from_pretrained(
            base,
            local_files_only=True,
            add_pooling_layer=False,
            dtype=torch.float32,
            # with it a step takes twice as long: no fused attention kernel has it
            attention_probs_dropout_prob=0.0,
        )
        self.head = nn.Linear(self.bert.config.hidden_size, 2)
        for parameter in self.bert.embeddings.parameters():
            parameter.requires_grad = False

    def freeze(self, layers: int) -> None:
        """Leave the lowest `layers` layers out of the training."""
        for layer in self.bert.encoder.layer[:layers]:
            for parameter in layer.parameters():
                parameter.requires_grad = False

    def forward(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of shape (batch, tokens), for starts and for ends."""
        hidden = self.bert(**batch).last_hidden_state
        start, end = self.head(hidden).float().unbind(-1)
        return start, end

    def trained_state(self) -> dict[str, torch.Tensor]:
        """What training changes: everything but the word embeddings."""
        return {
            name: value
            for name, value in self.state_dict().items()
            if not name.startswith("bert.embeddings.")
        }


@dataclass(frozen=True, slots=True)
class Reading:
    """What the reader found in one context: `context[start:end]`, and how sure it is.

    `score` is the span's logit minus that of “no answer here”; above 0 the reader would answer.
    """

    start: int
    end: int
    score: float


def best_span(
    start: NDArray[np.float32],
    end: NDArray[np.float32],
    offsets: NDArray[np.int64],
    inside: NDArray[np.bool_],
    null: float,
) -> Reading:
    """The span of a context's tokens with the largest sum of logits, at most LONGEST_SPAN tokens.

    Only tokens that are `inside` count; `null` is the logit of “no answer here”.
    """
    places = np.flatnonzero(inside)
    if not len(places):
        return Reading(0, 0, -20.0)
    ends = np.append(end[places], _BEYOND)
    sums = start[places][:, None] + ends[np.arange(len(places))[:, None] + _LENGTHS]
    first, longer = np.unravel_index(int(np.argmax(sums)), sums.shape)
    return Reading(
        int(offsets[places[first]][0]),
        int(offsets[places[first + longer]][1]),
        float(sums[first, longer]) - null,
    )
