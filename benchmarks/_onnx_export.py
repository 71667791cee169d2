"""A sentence-transformers embedder as one ONNX file: `_onnx_export.py MODEL TARGET`.

Mean pooling and the division by the length are in it. A process of its own, since the packages
that write such files are not Cloister's.
"""

from __future__ import annotations

import sys

import torch
from torch import nn
from transformers import AutoModel


class _Embedder(nn.Module):
    """Token ids and their mask, each (batch, tokens), to vectors of length 1."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.encoder = AutoModel.from_pretrained(folder, local_files_only=True)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        hidden = self.encoder(
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=torch.zeros_like(input_ids),
        ).last_hidden_state
        kept = attention_mask[..., None].to(hidden.dtype)
        return nn.functional.normalize((hidden * kept).sum(1) / kept.sum(1), dim=1)


def main(folder: str, target: str) -> None:
    """Export with a batch and a length that may be anything."""
    texts, tokens = torch.export.Dim("texts"), torch.export.Dim("tokens", max=512)
    shape = {0: texts, 1: tokens}
    ids = torch.tensor([[101, 2023, 2003, 102], [101, 2008, 102, 0]])
    torch.onnx.export(
        _Embedder(folder).eval(),
        (ids, (ids > 0).long()),
        target,
        dynamo=True,
        input_names=["input_ids", "attention_mask"],
        output_names=["vectors"],
        dynamic_shapes=(shape, shape),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
