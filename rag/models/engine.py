"""The in-process LLM: transformers behind LlamaIndex's `CustomLLM`, streaming and stoppable."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.llms import CustomLLM

from rag.errors import ModelError
from rag.models.chat import Chat
from rag.models.device import pick_device
from rag.models.loading import load_causal
from rag.models.templates import AUTO, pick_template

# prompts are read in pieces, so that a question that is given up ends soon
_PREFILL_TOKENS = 256


class LocalLLM(CustomLLM):
    """A causal language model from a folder. Never contacts a hub, never runs remote code.

    Several completions may run at once: each has its own cache, and a step of one runs between
    two steps of another. All end at their next token when the program's main thread has ended.
    `adapter` is the folder of a LoRA adapter, checked before; `precision` is that of `load_causal`.
    `template` names a chat template as `llm.template` does.
    """

    context_tokens: int
    stoppable: bool = True
    device: str
    quantization: str | None = None

    _model: Any = PrivateAttr()
    _tokenizer: Any = PrivateAttr()
    _chat: Chat = PrivateAttr()
    _ends: list[int] = PrivateAttr()
    _stops: Any = PrivateAttr()

    def __init__(
        self,
        folder: Path,
        device: str,
        precision: str,
        adapter: Path | None = None,
        template: str = AUTO,
    ) -> None:
        place = pick_device(device)
        loaded = load_causal(folder, place, precision, adapter)
        model, tokenizer = loaded.model, loaded.tokenizer
        chat = Chat(tokenizer, pick_template(tokenizer, template))
        ends = chat.ends(model.generation_config.eos_token_id)
        context = getattr(model.config, "max_position_embeddings", None) or 2048
        super().__init__(context_tokens=context, device=place, quantization=loaded.quantization)
        self._model = model
        self._tokenizer = tokenizer
        self._chat = chat
        self._ends = ends
        # each generating thread's own stop, asked between the pieces of a prompt too
        self._stops = threading.local()
        self._model.register_forward_pre_hook(self._before_forward)

    @property
    def metadata(self) -> LLMMetadata:
        """Its context length in tokens and its name."""
        return LLMMetadata(
            context_window=self.context_tokens,
            model_name=str(self._model.config.name_or_path),
            is_chat_model=True,
        )

    def count(self, text: str) -> int:
        """How many tokens the model reads for a text."""
        return self._chat.count(text)

    def _extend_messages(self, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
        return list(messages)

    def prompt(self, messages: Sequence[ChatMessage]) -> str:
        """The messages in the model's own chat template, ready to be answered; see `Chat`."""
        return self._chat.prompt([(m.role.value, m.content or "") for m in messages])

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """The whole completion; see `stream_complete`."""
        parts = list(self.stream_complete(prompt, formatted, **kwargs))
        return parts[-1] if parts else CompletionResponse(text="")

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        """Completions as they grow; closing the generator ends the work at the next token.

        `kwargs` are transformers' generation arguments (`max_new_tokens`, `temperature`, …), and
        `stop`, an event that ends the work when another thread sets it.
        Raises ModelError when the model fails, for lack of memory for instance.
        """
        from transformers import StoppingCriteriaList, TextIteratorStreamer

        stop = _Stop(kwargs.pop("stop", None))
        streamer = TextIteratorStreamer(
            self._tokenizer, skip_prompt=True, skip_special_tokens=not self._chat.shows_special
        )
        failure: list[Exception] = []

        def work() -> None:
            self._stops.stop = stop
            try:
                inputs = self._tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
                self._model.generate(
                    **inputs.to(self.device),
                    streamer=streamer,
                    stopping_criteria=StoppingCriteriaList([stop]),
                    prefill_chunk_size=_PREFILL_TOKENS,
                    eos_token_id=self._ends or None,
                    **_arguments(kwargs, self._tokenizer),
                )
            except _Stopped:
                stop.left = True  # as asked; nothing has failed
            except Exception as error:  # noqa: BLE001 - the boundary of this thread
                failure.append(error)
            finally:
                streamer.end()

        # no daemon, and every tensor is its own: one that is within torch when Python ends, and
        # be it to free a tensor, aborts the process. Python waits for it, and `_Stop` ends it.
        thread = threading.Thread(target=work, name="generate", daemon=False)
        thread.start()
        shown, text = self._chat.shown(prompt), ""
        try:
            for piece in streamer:
                delta = shown.feed(piece)
                text += delta
                yield CompletionResponse(text=text, delta=delta, raw={"tokens": stop.tokens})
                if shown.ended:
                    break
            if delta := shown.finish():
                yield CompletionResponse(
                    text=text + delta, delta=delta, raw={"tokens": stop.tokens}
                )
        finally:
            stop.left = True
        thread.join()
        if failure:
            raise ModelError(f"The LLM could not answer: {failure[0]}") from failure[0]

    def _before_forward(self, *_: Any) -> None:
        stop = getattr(self._stops, "stop", None)
        if stop is not None and stop.wanted:
            raise _Stopped


class _Stopped(Exception):
    """The completion is not wanted any more."""


class _Stop:
    """Transformers' stopping criterion: asked after each token, which it counts."""

    def __init__(self, asked: threading.Event | None) -> None:
        self._asked = asked
        self.left = False
        self.tokens = 0

    @property
    def wanted(self) -> bool:
        """Whether the consumer left, another thread asked to stop, or the process is ending."""
        asked = self._asked is not None and self._asked.is_set()
        return self.left or asked or not threading.main_thread().is_alive()

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        import torch

        self.tokens += 1
        return torch.full(
            (input_ids.shape[0],), self.wanted, dtype=torch.bool, device=input_ids.device
        )


def _arguments(given: dict[str, Any], tokenizer: Any) -> dict[str, Any]:
    arguments = {name: value for name, value in given.items() if value is not None}
    temperature = arguments.pop("temperature", 0.0)
    pad = tokenizer.pad_token_id
    arguments["pad_token_id"] = tokenizer.eos_token_id if pad is None else pad
    if temperature > 0:
        return arguments | {"do_sample": True, "temperature": temperature}
    for name in ("top_k", "top_p"):
        arguments.pop(name, None)
    return arguments | {"do_sample": False, "temperature": None, "top_k": None, "top_p": None}
