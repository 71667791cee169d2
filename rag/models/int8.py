"""Linear layers whose weights are held in 8 bits, with nothing but torch.

A row of weights is whole numbers from −127 to 127 times a scale of its own; what the layer is given
stays as it is. Quantizing that too (torch's dynamic quantization) is faster and was measured to
change more than half of SmolLM2's next tokens, this about as many as bfloat16 does
(`benchmarks/precision.py`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

# torch's own product is the faster one for so few rows, as a token at a time; above, it is not
_FEW = 8
_KERNEL: Any = getattr(torch, "_weight_int8pack_mm", None)


class Int8Linear(torch.nn.Module):
    """What `linear` computes, with a quarter of float32's memory for its weights.

    `weight` is int8 of shape (out, in), `scale` of shape (out,).
    """

    weight: Tensor
    scale: Tensor
    small_scale: Tensor

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        rows = linear.weight.detach().float()
        scale = (rows.abs().amax(1) / 127).clamp_min(torch.finfo(torch.float32).tiny)
        self.register_buffer("weight", (rows / scale[:, None]).round().to(torch.int8))
        self.register_buffer("scale", scale.to(linear.weight.dtype))
        self.register_buffer("small_scale", scale.to(torch.bfloat16))
        self.bias = linear.bias

    def forward(self, given: Tensor) -> Tensor:
        """From (…, in) to (…, out), in the type of what is given."""
        found: Tensor
        if _KERNEL and given.device.type == "cpu" and given.numel() <= _FEW * self.in_features:
            rows = given.reshape(-1, self.in_features).to(torch.bfloat16)
            found = _KERNEL(rows, self.weight, self.small_scale).to(given.dtype)
            found = found.reshape(*given.shape[:-1], self.out_features)
        else:
            found = functional.linear(given, self.weight.to(given.dtype)) * self.scale
        if self.bias is not None:
            found = found + self.bias
        return found


def to_int8(model: Any) -> float:
    """Replace every linear layer but the last; the share of the model's weights that these are.

    The experts of some mixtures are no linear layers, and stay as they are.
    """
    last, done = model.get_output_embeddings(), 0
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, torch.nn.Linear) and child is not last:
                done += child.weight.numel()
                setattr(module, name, Int8Linear(child))
    rest = sum(int(p.numel()) for p in model.parameters())
    return done / (done + rest)
