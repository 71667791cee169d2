"""What writes a model's completions: in a batch, or each alone where a batch would be wrong."""

from __future__ import annotations

import functools
import logging
import threading
import time
from typing import Any

import torch

from rag.errors import ModelError
from rag.memory import free_memory
from rag.models.alone import Alone
from rag.models.batch.heads import Heads
from rag.models.batch.loop import Loop
from rag.models.batch.quickened import quickened
from rag.models.batch.recorder import Recorder, cuda_graph, pays
from rag.models.batch.request import Request
from rag.models.batch.room import Room
from rag.models.batch.shortage import empty_cuda_cache
from rag.models.batch.steps import Steps
from rag.models.batch.trial import find_attention
from rag.models.fit import GPU_TOKENS

_log = logging.getLogger("cloister")
# of the memory that is free once the model is loaded, keys and values may take this share
_CPU_SHARE, _MOST_SHARE = 0.25, 0.85
# of the tokens that fit, those of common beginnings
_HEADS_SHARE = 0.1
# rotary positions that change for the whole batch when one row is long
_CHANGING = ("dynamic", "longrope")


class Writer:
    """Writes requests in a batch where a trial found that right, and each alone where not.

    `rows` run at once in the batch; `cache_bytes` is the memory for their keys and values, None: a
    share of what is free, or what `rows` questions of `question_tokens` need; see `cache_for`. With
    `graphs` steps on a CUDA GPU are recorded where that is faster, and their layers compiled unless
    it is `uncompiled`; `off`: neither.
    """

    def __init__(
        self,
        model: Any,
        rows: int,
        cache_bytes: int | None = None,
        graphs: str = "auto",
        question_tokens: int = 0,
    ) -> None:
        changing, original = _changing_positions(model.config.get_text_config(decoder=True))
        if changing:
            _one_at_a_time(model)
            graphs = "off"  # whether they change is asked of the device, which no recording may
        self._longest = original if changing else None
        self._alone: Alone | None = Alone(model)
        self.loop: Loop | None = None
        if attention := find_attention(model):
            self.loop = _loop(Steps(model, attention), rows, cache_bytes, graphs, question_tokens)
        else:
            _log.warning(
                "The LLM's answers are written each alone, which is slower when many ask at once: "
                "a trial found no way to write %s in a batch that is right.",
                model.config.model_type,
            )

    @property
    def batched(self) -> bool:
        """Whether completions are written together."""
        return self.loop is not None

    def submit(self, request: Request) -> None:
        """Have a request written. Raises ModelError where it never fits, and once it is closed."""
        short = self._longest is None or request.columns <= self._longest
        writer = self.loop if self.loop and short else self._alone
        if writer is None:
            raise ModelError("The LLM was unloaded meanwhile. Ask again.")
        writer.submit(request)

    def close(self, seconds: float) -> None:
        """Wait so long at most for what runs to end, and part with the model."""
        until = time.monotonic() + seconds
        loop, alone = self.loop, self._alone
        self.loop = self._alone = None
        for writer in (loop, alone):
            if writer is not None:
                writer.close(until)


@torch.inference_mode()
def _loop(
    steps: Steps, rows: int, cache_bytes: int | None, graphs: str, question_tokens: int
) -> Loop:
    shelf = steps.shelf
    shelf.reserve(1, 1)
    steps.read(0, [0], 0)
    window = getattr(steps.model.config, "max_position_embeddings", None) or question_tokens
    question = min(question_tokens, window)
    if not cache_bytes:
        gpu = steps.device.type == "cuda"
        cache_bytes = cache_for(_free(steps.device), shelf.token_bytes, rows, question, gpu)
    tokens = cache_bytes // shelf.token_bytes
    shelf.clear()
    heads = min(int(tokens * _HEADS_SHARE), max(0, tokens - question))
    room = Room(tokens - heads, rows)
    recorder = None
    if graphs != "off" and steps.device.type == "cuda":
        recorder = _recorder(steps, room, compiles=graphs == "auto")
    return Loop(steps, room, Heads(heads), recorder)


def cache_for(free: int, token_bytes: int, rows: int, question: int, gpu: bool) -> int:
    """The bytes for keys and values of `rows` questions of so many tokens, of `free` ones.

    On a processor a quarter of what is free, or what the questions need where that is more. On a
    GPU what they need, but 8,192 tokens at least, since answers may be longer than the settings'
    own; where `question` is 0, most of what is free. Never more than 85 % of it.
    """
    most = int(free * _MOST_SHARE)
    needed = int(rows * question / (1 - _HEADS_SHARE) + 1) * token_bytes
    if not gpu:
        return min(most, max(int(free * _CPU_SHARE), needed))
    return min(most, max(GPU_TOKENS * token_bytes, needed)) if question else most


def _recorder(steps: Steps, room: Room, compiles: bool) -> Recorder | None:
    """What records steps, with all of the room's memory taken; None where it does not pay."""
    context = getattr(steps.model.config, "max_position_embeddings", None) or room.tokens
    try:
        steps.shelf.reserve(room.rows, min(room.tokens // room.rows, context))
        with torch.cuda.device(steps.device):
            if pays(steps, cuda_graph):
                return quickened(steps, cuda_graph, compiles)
    except Exception as error:  # noqa: BLE001 - whatever it raises, steps can be run as they are
        _log.info("The LLM's steps are not recorded as CUDA graphs: %s", error)
    steps.shelf.clear()
    empty_cuda_cache()
    return None


def _free(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return free_memory()


def _changing_positions(config: Any) -> tuple[bool, int]:
    """Whether a long text changes how positions are told, and the longest that does not."""
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    kinds = [rope, *(value for value in rope.values() if isinstance(value, dict))]
    changing = [kind for kind in kinds if kind.get("rope_type") in _CHANGING]
    longest = [
        kind.get("original_max_position_embeddings")
        or getattr(config, "original_max_position_embeddings", None)
        or config.max_position_embeddings
        for kind in changing
    ]
    return bool(changing), min(longest, default=0)


def _one_at_a_time(model: Any) -> None:
    """Let no two threads be within the model: each text sets the positions for itself."""
    forward, lock = model.forward, threading.Lock()

    @functools.wraps(forward)
    def locked(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return forward(*args, **kwargs)

    model.forward = locked
