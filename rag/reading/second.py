"""The second reader: the starter LLM, tuned to say whether a passage answers a question.

It is some ten times as large as the first reader, so it reads only the few passages in which that
one found the best evidence. What is stored is a change of low rank to each linear layer (Hu et al.
2021, “LoRA”) and a head of three logits a token: a span's start, its end, and, at the last token,
whether the passage answers at all. The question stands before the passage and after it: each token
of a causal LLM sees only what is before it (Springer et al. 2024, “Repetition improves language
model embeddings”).
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from rag.models.batching import by_length
from rag.models.device import be_quiet, pick_device, pick_precision, told_if_not_loaded
from rag.models.lanes import Lanes, lanes_for
from rag.reading import SECOND_WEIGHTS
from rag.reading.page import KeptPages, Logits, Page

# what its changes are scaled by, as LoRA's alpha over its rank
SCALE = 2.0
MAX_TOKENS = 512
_LONGEST_QUESTION = 96
# tokens that are read at once on one core, padding included: some two passages
_TOKENS = 640


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """The first tokens of a text, MAX_TOKENS at most.

    `offsets[i]`, shape (tokens, 2), are the first character of token `ids[i]` and the one behind
    its last.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """The tokens of a question, a context and the question again.

    `offsets[i]`, shape (tokens, 2), are the first character of the context's token `ids[first + i]`
    and the one behind its last.
    """

    ids: NDArray[np.int32]
    first: int
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)


class Asking:
    """Cuts questions and contexts into tokens. Safe to use from several threads."""

    def __init__(self, base: Path) -> None:
        """Take the tokenizer of a model folder. Raises what tokenizers raises."""
        from tokenizers import Tokenizer

        self._tokenizer: Any = Tokenizer.from_file(str(base / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        marks = self._tokenizer.encode("<|im_start|>\n<|im_end|>", add_special_tokens=False)
        self._begin, self._line, self._end = marks.ids
        self._tokenizer.encode_special_tokens = True  # in a text a mark is a text

    def asked(self, question: str, contexts: Sequence[str]) -> list[Asked]:
        """One a context, of MAX_TOKENS at most."""
        head, *read = self.cut([question, *contexts])
        return [self.joined(head, one) for one in read]

    def cut(self, texts: Sequence[str]) -> list[Cut]:
        """Questions and contexts as tokens, each by itself."""
        cut = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [
            Cut(
                np.array(one.ids[:MAX_TOKENS], dtype=np.int32),
                _without_space(text, one.offsets[:MAX_TOKENS]),
            )
            for text, one in zip(texts, cut, strict=True)
        ]

    def joined(self, question: Cut, context: Cut) -> Asked:
        """A question that is asked of a context: what `asked` makes of their texts."""
        ids = question.ids[:_LONGEST_QUESTION]
        before, after = [self._begin, *ids, self._line], [self._line, *ids, self._end]
        room = MAX_TOKENS - len(before) - len(after)
        joined = np.concatenate([before, context.ids[:room], after]).astype(np.int32)
        return Asked(joined, len(before), context.offsets[:room])


def _without_space(text: str, offsets: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """Offsets without the space that a token begins with."""
    places = [(start + text[start:end].startswith(" "), end) for start, end in offsets]
    return np.array(places, dtype=np.int64).reshape(-1, 2)


class SecondReader:
    """The tuned starter LLM over its own folder. Safe to use from several threads."""

    def __init__(
        self, base: Path, device: str, precision: str, weights: Path = SECOND_WEIGHTS
    ) -> None:
        """Load it. Raises ModelError."""
        from safetensors.torch import load_file
        from transformers import AutoModel

        place = pick_device(device)
        kind = pick_precision(precision, place)
        be_quiet()
        with told_if_not_loaded("second reader", weights, TypeError, AttributeError, KeyError):
            changes = load_file(weights)
            model: Any = AutoModel.from_pretrained(base, local_files_only=True, dtype=kind)
            _change(model, changes)
            self._asking = Asking(base)
        self._network = model.to(place).eval()
        self._head = changes["head"].float().to(place), changes["bias"].float().to(place)
        self._device = place
        self._lanes = Lanes(lanes_for(place))
        self._pages = KeptPages(self._read)

    def read(self, question: str, contexts: Sequence[str]) -> list[Page]:
        """One `Page` a context; what is beyond MAX_TOKENS of a context is not read."""
        return self._pages.read(question, contexts)

    def _read(self, question: str, contexts: Sequence[str]) -> list[Page]:
        asked = self._asking.asked(question, contexts)
        places = by_length([len(one) for one in asked], _TOKENS, self._lanes.count)
        batches = [[asked[place] for place in batch] for batch in places]
        pages: dict[int, Page] = {}
        with contextlib.closing(self._lanes.map(self._logits, batches)) as computed:
            for batch, logits in zip(places, computed, strict=True):
                for row, place in enumerate(batch):
                    pages[place] = page_of(asked[place], logits[row])
        return [pages[place] for place in range(len(contexts))]

    @torch.inference_mode()
    def _logits(self, asked: Sequence[Asked]) -> Logits:
        """Logits of shape (asked, tokens, 3); what pads a row is behind all that is read of it."""
        ids = np.zeros((len(asked), max(len(one) for one in asked)), dtype=np.int64)
        for row, one in enumerate(asked):
            ids[row, : len(one)] = one.ids
        hidden = self._network(torch.from_numpy(ids).to(self._device), use_cache=False)
        logits = functional.linear(hidden.last_hidden_state.float(), *self._head)
        computed: Logits = logits.cpu().numpy()
        return computed


@torch.no_grad()
def _change(model: Any, changes: dict[str, torch.Tensor]) -> None:
    """Add to each linear layer its change. Raises KeyError for a layer that the model lacks."""
    for name in (name.removesuffix(".A") for name in changes if name.endswith(".A")):
        weight = model.get_parameter(f"{name}.weight")
        change = changes[f"{name}.B"].to(weight.dtype) @ changes[f"{name}.A"].to(weight.dtype)
        weight += SCALE * change


def page_of(asked: Asked, logits: Logits) -> Page:
    """The page from the logits of all tokens, of shape (tokens, 3).

    The last token stands for “no answer here”.
    """
    part = slice(asked.first, asked.first + len(asked.offsets))
    start, end, whole = logits[len(asked) - 1]
    return Page(logits[part, 0], logits[part, 1], asked.offsets, float(start + end), float(whole))
