"""How the next token is chosen, for one completion, by its own parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

# torch's generators take seeds of 64 bits
_SEEDS = 2**64


class Sampler:
    """Chooses tokens as `model.generate` would with the same arguments for the same prompt.

    Transformers' own processors of scores do the work, those of the model's generation config
    included. With a `seed` the choice repeats, whatever else is generated at the time. Raises
    ValueError for arguments that transformers does not take.
    """

    def __init__(self, model: Any, given: Mapping[str, Any], prompt: list[int]) -> None:
        arguments = _arguments(given)
        seed = arguments.pop("seed", None)
        config, unknown = model._prepare_generation_config(None, **arguments)
        if unknown:
            raise ValueError(f"“{next(iter(unknown))}” is no argument of generation")
        self._device = model.device
        model._prepare_special_tokens(config, True, device=self._device, batch_size=1)
        config.num_beams = 1
        ends = config._eos_token_tensor
        self.ends = frozenset(() if ends is None else ends.tolist())
        self.most = int(config.max_new_tokens or config.max_length)
        if self.most < 1:
            raise ValueError("max_new_tokens must be at least 1")
        self._processors = model._get_logits_processor(
            config, input_ids_seq_length=len(prompt), device=self._device
        )
        self._random = _random(seed, self._device) if config.do_sample else None
        self._ids = torch.empty((1, 0), dtype=torch.long)
        if self._processors:
            self._ids = torch.zeros((1, len(prompt) + self.most), dtype=torch.long)
            self._ids[0, : len(prompt)] = torch.tensor(prompt)
            self._ids = self._ids.to(self._device)
        self._length = len(prompt)

    @property
    def plain(self) -> bool:
        """Whether it always takes the token of the highest score."""
        return self._random is None and not self._processors

    def choose(self, logits: torch.Tensor) -> int:
        """The next token by its scores, one for each token of the vocabulary."""
        scores = logits[None].to(torch.float32, copy=True)
        if self._processors:
            scores = self._processors(self._ids[:, : self._length], scores)
        if self._random is None:
            token = int(scores.argmax())
        else:
            # as torch.multinomial draws one, but without its check, which on a GPU ends the process
            noise = torch.empty_like(scores).exponential_(generator=self._random)
            token = int(torch.softmax(scores, dim=-1).div_(noise).argmax())
        self.note(token)
        return token

    def note(self, token: int) -> None:
        """Take up a token that was written."""
        if self._processors and self._length < self._ids.shape[1]:
            self._ids[0, self._length] = token
            self._length += 1


def _arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Generation arguments in transformers' names: a temperature of 0 takes the likeliest token."""
    arguments = {name: value for name, value in given.items() if value is not None}
    temperature = arguments.pop("temperature", 0.0)
    if temperature > 0:
        return arguments | {"do_sample": True, "temperature": temperature}
    for name in ("top_k", "top_p"):
        arguments.pop(name, None)
    return arguments | {"do_sample": False}


def _random(seed: int | None, device: Any) -> torch.Generator:
    random = torch.Generator(device)
    if seed is None:
        random.seed()
    else:
        random.manual_seed(seed % _SEEDS)
    return random
