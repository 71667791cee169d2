"""The vectors of a BERT, without what its modules take for themselves.

A question has a dozen tokens, which the network multiplies in milliseconds on a processor: the
checks, hooks and masks of the modules on its way are felt beside that. A batch of chunks takes
longer, and there they wait for the interpreter's lock while documents are parsed and cut. The same
operations on the same weights in the same order give a question the same bits; a trial at load
makes sure of it. In bfloat16 oneDNN brings the weights of each layer into its own order at every
call, which for a question takes as long as to multiply: that is done once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

_log = logging.getLogger("cloister")
# short, empty, of several scripts with a special token, and longer than any network here reads
_TRIED = ("Unused leave", "", "Über 1,200 Pumpen—[SEP] 漢字, naïve?", "A pump, or 2. " * 200)
# of a text alone and beside longer ones, which round otherwise, in bfloat16 too
_SAME = 0.999

# tokens of a question, for which weights are put into order, and the most bytes that a copy of them
# may take
_ASKED, _MOST_COPIED = 16, 2**26

Vector = NDArray[np.float32]
_Weights = tuple[Tensor, Tensor]
_Linear = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class _Layer:
    """Weights and biases of one layer, in the order in which they are used."""

    query: _Weights
    key: _Weights
    value: _Weights
    attended: _Weights
    attended_norm: _Weights
    wide: _Weights
    narrow: _Weights
    norm: _Weights


class PlainBert:
    """A `BertModel` with a mean of its tokens of length 1. Safe to use from several threads."""

    def __init__(self, model: Any, packed: bool = False) -> None:
        """Of a sentence-transformers model that `find_plain` looked at, and share its weights.

        With `packed` a question meets copies of them in oneDNN's order. Raises what torch raises
        where it has none.
        """
        bert = model[0].model
        embeddings, config = bert.embeddings, bert.config
        self._tokenizer = _own_tokenizer(model.tokenizer)
        self._words: Tensor = embeddings.word_embeddings.weight
        self._type: Tensor = embeddings.token_type_embeddings.weight.detach()[0]
        self._places: Tensor = embeddings.position_embeddings.weight
        self._norm = _weights(embeddings.LayerNorm)
        self._layers = [_layer(layer) for layer in bert.encoder.layer]
        self._asked = [_packed(layer) for layer in self._layers] if packed else self._layers
        self._linear: _Linear = _packed_linear if packed else functional.linear
        self._heads = int(config.num_attention_heads)
        self._epsilon = float(config.layer_norm_eps)
        self._scale: float = bert.encoder.layer[0].attention.self.scaling

    @torch.inference_mode()
    def vector(self, text: str) -> Vector:
        """The vector of a text, shape (dimensions,), as the modules give it."""
        ids = self._tokenizer.encode(text).ids
        found = self._states(torch.tensor([ids]), None, self._asked, self._linear)
        # a mean is taken in float32 at least, and rounded to what the network computes in
        exact = torch.promote_types(found.dtype, torch.float32)
        count = torch.full((1, 1), len(ids), dtype=exact)
        mean = (found.sum(dim=1, dtype=exact) / count).to(found.dtype)
        # by a module of the model, and by sentence-transformers once more
        unit = functional.normalize(functional.normalize(mean, dim=-1), dim=1)
        vector: Vector = unit[0].float().numpy()
        return vector

    @torch.inference_mode()
    def vectors(self, texts: Sequence[str]) -> Vector:
        """The vectors of a batch of texts, shape (n, dimensions), of length 1.

        Their means are not rounded to what the network computes in: nearer to float32 than the
        modules' own, by less than a thousandth.
        """
        rows = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        lengths = torch.tensor([[len(row)] for row in rows])
        longest = max(map(len, rows))
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
        there = torch.arange(longest) < lengths
        padded = len(set(map(len, rows))) > 1
        mask = there[:, None, None, :] if padded else None
        found = self._states(ids, mask, self._layers, functional.linear)
        kept = found.float() * there[:, :, None]
        unit: Vector = functional.normalize(kept.sum(dim=1) / lengths, dim=1).numpy()
        return unit

    def _states(
        self, ids: Tensor, there: Tensor | None, layers: Sequence[_Layer], linear: _Linear
    ) -> Tensor:
        """The last layer's states, shape (n, tokens, dimensions); `there` is not padding."""
        found = functional.embedding(ids, self._words) + self._type
        found = self._normed(found + self._places[: ids.shape[1]], self._norm)
        for layer in layers:
            found = self._through(layer, found, there, linear)
        return found

    def _through(
        self, layer: _Layer, given: Tensor, there: Tensor | None, linear: _Linear
    ) -> Tensor:
        heads = (*given.shape[:2], self._heads, -1)
        query, key, value = (
            linear(given, *weights).view(heads).transpose(1, 2)
            for weights in (layer.query, layer.key, layer.value)
        )
        found = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=there, scale=self._scale
        )
        found = found.transpose(1, 2).reshape(given.shape)
        found = linear(found, *layer.attended)
        attended = self._normed(found + given, layer.attended_norm)
        found = functional.gelu(linear(attended, *layer.wide))
        return self._normed(linear(found, *layer.narrow) + attended, layer.norm)

    def _normed(self, given: Tensor, weights: _Weights) -> Tensor:
        return functional.layer_norm(given, weights[0].shape, *weights, self._epsilon)


def find_plain(model: Any, vector: Callable[[str], Vector]) -> PlainBert | None:
    """The short way through a sentence-transformers model; None where there is none.

    It must give what `vector` does, to the last bit, and nearly so for texts of one batch.
    """
    if not _is_known(model):
        return None
    reason = ""
    for packed in (True, False) if _may_be_packed(model) else (False,):
        try:
            return _same(PlainBert(model, packed), vector)
        except Exception as error:  # noqa: BLE001 - whatever it raises, the modules' way is there
            reason = f"{type(error).__name__}: {error}"
    _log.info("Texts go through the embedder's modules: %s", reason)
    return None


def _same(plain: PlainBert, vector: Callable[[str], Vector]) -> PlainBert:
    """The short way that was given. Raises ValueError where it gives something else."""
    alone = [plain.vector(text) for text in _TRIED]
    given = [vector(text) for text in _TRIED]
    if any(one.tobytes() != other.tobytes() for one, other in zip(alone, given, strict=True)):
        raise ValueError("it gives another vector")
    if not _cosines(plain.vectors(_TRIED), np.stack(alone)).min() >= _SAME:  # nor if it is NaN
        raise ValueError("it gives other vectors in a batch")
    return plain


def _cosines(some: Vector, others: Vector) -> Tensor:
    """Of each row with the other one's, whose length may not quite be 1, rounded to bfloat16."""
    return functional.cosine_similarity(torch.from_numpy(some), torch.from_numpy(others))


def _is_known(model: Any) -> bool:
    """Whether it is a BERT on a processor, the mean of its tokens, and that at length 1."""
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import BertModel

    if model.device.type != "cpu" or [type(m) for m in model] != [Transformer, Pooling, Normalize]:
        return False
    bert = model[0].model
    return (
        type(bert) is BertModel
        and not bert.config.is_decoder
        and bert.config.hidden_act == "gelu"
        and bert.config._attn_implementation == "sdpa"
        and model[1].pooling_mode == "mean"
    )


def _may_be_packed(model: Any) -> bool:
    """Whether oneDNN has an order of its own, which it has for bfloat16, and a copy is small."""
    copied = sum(weight.nbytes for weight in model[0].model.encoder.parameters())
    return bool(model.dtype == torch.bfloat16 and copied <= _MOST_COPIED)


def _own_tokenizer(tokenizer: Any) -> Tokenizer:
    """A copy that cuts a text as the model does: others set what is cut off at each call."""
    own = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    own.no_padding()
    own.enable_truncation(tokenizer.model_max_length, direction=tokenizer.truncation_side)
    return own


def _layer(layer: Any) -> _Layer:
    attention, output = layer.attention.self, layer.attention.output
    return _Layer(
        query=_weights(attention.query),
        key=_weights(attention.key),
        value=_weights(attention.value),
        attended=_weights(output.dense),
        attended_norm=_weights(output.LayerNorm),
        wide=_weights(layer.intermediate.dense),
        narrow=_weights(layer.output.dense),
        norm=_weights(layer.output.LayerNorm),
    )


def _weights(module: Any) -> _Weights:
    return module.weight, module.bias


def _packed(layer: _Layer) -> _Layer:
    """The layer with the weights of its products in oneDNN's order."""

    def packed(weights: _Weights) -> _Weights:
        with torch.inference_mode():
            ordered = torch.ops.mkldnn._reorder_linear_weight(weights[0].detach(), _ASKED)
        return ordered, weights[1]

    return replace(
        layer,
        query=packed(layer.query),
        key=packed(layer.key),
        value=packed(layer.value),
        attended=packed(layer.attended),
        wide=packed(layer.wide),
        narrow=packed(layer.narrow),
    )


def _packed_linear(given: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    found: Tensor = torch.ops.mkldnn._linear_pointwise(given, weight, bias, "none", [], "")
    return found
