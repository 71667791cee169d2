"""One completion by `model.generate`, in a thread of its own: what no batch can be trusted with."""

from __future__ import annotations

import threading
import time
from typing import Any

from rag.models.batch.loop import PIECE
from rag.models.batch.request import Request
from rag.models.threads import all_cores


class Alone:
    """A model whose completions run side by side, each with its own cache and thread.

    A step of one runs between two steps of another. All end at their next step when the program's
    main thread has ended.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        # each generating thread's own request, asked for between the pieces of a prompt too
        self._own = threading.local()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        model.register_forward_pre_hook(self._before_forward)

    def submit(self, request: Request) -> None:
        """Have a request written."""
        # no daemon, and every tensor is its own: one that is within torch when Python ends, and
        # be it to free a tensor, aborts the process. Python waits for it, and it ends by itself.
        thread = threading.Thread(
            target=self._write, args=(request,), name="generate", daemon=False
        )
        with self._lock:
            thread.start()
            self._threads = [*(one for one in self._threads if one.is_alive()), thread]

    def close(self, until: float) -> None:
        """Wait for the threads to end, until a monotonic time at most."""
        with self._lock:
            threads, self._threads = self._threads, []
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _write(self, request: Request) -> None:
        import torch
        from transformers import LogitsProcessorList, StoppingCriteriaList

        all_cores()
        self._own.request = request
        try:
            ids = torch.tensor([request.ids], device=self._model.device)
            self._model.generate(
                inputs=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=request.sampler.most,
                logits_processor=LogitsProcessorList([_Choice(request)]),
                stopping_criteria=StoppingCriteriaList([_Stop(request)]),
                prefill_chunk_size=PIECE,
                pad_token_id=0,
                **_GREEDY,
            )
        except _Stopped:
            pass  # as asked; nothing has failed
        except Exception as error:  # noqa: BLE001 - the boundary of this thread
            request.fail(error)
        finally:
            request.end()

    def _before_forward(self, *_: Any) -> None:
        request = getattr(self._own, "request", None)
        if request is not None and not request.wanted:
            raise _Stopped


# the sampler chooses, and has applied what else the model's own generation config says
_GREEDY = {
    "do_sample": False,
    "temperature": None,
    "top_k": None,
    "top_p": None,
    "repetition_penalty": 1.0,
}


class _Stopped(Exception):
    """The completion is not wanted any more."""


class _Choice:
    """Transformers' processor of scores that leaves nothing but the sampler's choice."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        token = self._request.sampler.choose(scores[0])
        self._request.give(token)
        chosen = scores.new_full(scores.shape, float("-inf"))
        chosen[0, token] = 0.0
        return chosen


class _Stop:
    """Transformers' stopping criterion: asked after each token."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        import torch

        ended = self._request.done or not self._request.wanted
        return torch.full((input_ids.shape[0],), ended, dtype=torch.bool, device=input_ids.device)
