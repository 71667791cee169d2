"""The in-process LLM: transformers behind LlamaIndex's `CustomLLM`, streaming and stoppable."""

from __future__ import annotations

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
from rag.models.adapter import put_adapter
from rag.models.batch.request import Request
from rag.models.batch.sampling import Sampler
from rag.models.batch.shortage import is_shortage
from rag.models.chat import Chat
from rag.models.device import not_loaded, pick_device
from rag.models.loading import Loaded, load_causal
from rag.models.sharing import on_same_tensors
from rag.models.templates import AUTO, pick_template
from rag.models.wording import Wording
from rag.models.writer import Writer

# tokens of a completion where the caller does not say
_NEW_TOKENS = 256
_NO_MEMORY = (
    "There is memory for the weights of the LLM {}, but not for answering with it. Free some, or "
    "take a smaller model or another precision (llm.precision)."
)
# a step, or a piece of a prompt, of a large model on a processor
_CLOSE_SECONDS = 30.0


class LocalLLM(CustomLLM):
    """A causal language model from a folder. Never contacts a hub, never runs remote code.

    Completions that run at once, at most `rows`, are written together, a token of each a step; see
    `rag/models/batch`. All end at their next token when the program's main thread has ended.
    `adapter` is the folder of a LoRA adapter, checked before; `precision` is that of `load_causal`;
    `template` names a chat template as `llm.template` does. `cache_bytes` is the memory for keys
    and values, None: as `cache_for` has it for questions of `question_tokens`, their answers
    included; `graphs` is as of `Writer`. With `base`, a loaded model of the same
    folder without an adapter, the adapter is computed beside its weights, which both have then.
    """

    context_tokens: int
    stoppable: bool = True
    device: str
    quantization: str | None = None

    _model: Any = PrivateAttr()
    _tokenizer: Any = PrivateAttr()
    _chat: Chat = PrivateAttr()
    _ends: list[int] = PrivateAttr()
    _writer: Writer = PrivateAttr()

    def __init__(
        self,
        folder: Path,
        device: str,
        precision: str,
        adapter: Path | None = None,
        template: str = AUTO,
        rows: int = 8,
        cache_bytes: int | None = None,
        graphs: str = "auto",
        question_tokens: int = 0,
        base: Any = None,
    ) -> None:
        place = base.device if base else pick_device(device)
        loaded = (
            base._with(adapter)
            if base is not None and adapter is not None
            else load_causal(folder, place, precision, adapter)
        )
        model, tokenizer = loaded.model, loaded.tokenizer
        chat = Chat(tokenizer, pick_template(tokenizer, template))
        ends = chat.ends(model.generation_config.eos_token_id)
        context = getattr(model.config, "max_position_embeddings", None) or 2048
        super().__init__(context_tokens=context, device=place, quantization=loaded.quantization)
        self._model = model
        self._tokenizer = tokenizer
        self._chat = chat
        self._ends = ends
        try:
            self._writer = Writer(self._model, rows, cache_bytes, graphs, question_tokens)
        except (MemoryError, RuntimeError) as error:
            if is_shortage(error):
                raise ModelError(_NO_MEMORY.format(folder.name)) from error
            raise not_loaded("LLM", folder, error) from error

    def close(self) -> None:
        """Wait for what is being written to end, half a minute at most, and part with the model.

        Its memory is free at the next garbage collection; nothing can be written any more.
        """
        self._writer.close(_CLOSE_SECONDS)
        self._model = None

    def _with(self, adapter: Path) -> Loaded:
        """This model with an adapter beside its weights. Raises ModelError."""
        model = self._model
        if model is None:
            raise ModelError("The LLM was unloaded meanwhile. Ask again.")
        put = put_adapter(on_same_tensors(model), adapter, merge=False)
        return Loaded(put.eval(), self._tokenizer, self.quantization)

    @property
    def metadata(self) -> LLMMetadata:
        """Its context length in tokens and its name."""
        return LLMMetadata(
            context_window=self.context_tokens,
            model_name=str(self._model.config.name_or_path),
            is_chat_model=True,
        )

    @property
    def precision(self) -> str:
        """In which numbers it computes, as `bfloat16`."""
        return str(self._model.dtype).removeprefix("torch.")

    @property
    def merged(self) -> bool:
        """Whether no adapter is computed beside the weights."""
        return not any(name.endswith("lora_A") for name, _ in self._model.named_modules())

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

        `kwargs` are transformers' generation arguments (`max_new_tokens`, `temperature`, …);
        `seed`, with which a sampled text repeats; and `stop`, an event that ends the work when
        another thread sets it. Raises ModelError when the model fails, for lack of memory for
        instance.
        """
        if self._model is None:
            raise ModelError("The LLM was unloaded meanwhile. Ask again.")
        stop = kwargs.pop("stop", None)
        ids = self._chat.ids(prompt)
        request = Request(ids, self._sampler(ids, kwargs), stop)
        self._writer.submit(request)
        wording = Wording(self._tokenizer, special=self._chat.shows_special)
        shown, text, count = self._chat.shown(prompt), "", 0
        try:
            for count, token in enumerate(request.tokens(), 1):
                delta = shown.feed(wording.add(token))
                text += delta
                yield CompletionResponse(text=text, delta=delta, raw={"tokens": count})
                if shown.ended:
                    break
            if delta := shown.feed(wording.rest()) + shown.finish():
                yield CompletionResponse(text=text + delta, delta=delta, raw={"tokens": count})
        finally:
            request.leave()

    def _sampler(self, ids: list[int], given: dict[str, Any]) -> Sampler:
        room = self.context_tokens - len(ids)
        if not ids or room < 1:
            raise ModelError(
                f"The prompt has {len(ids):,} tokens; the LLM reads from 1 to "
                f"{self.context_tokens - 1:,}. Shorten the question or llm.max_prompt_tokens."
            )
        most = min(given.get("max_new_tokens") or _NEW_TOKENS, room)
        own = {"max_new_tokens": most, "eos_token_id": self._ends or None}
        try:
            return Sampler(self._model, given | own, ids)
        except (TypeError, ValueError) as error:
            raise ModelError(f"The LLM cannot write so: {error}.") from error
