"""The LLM as the answerer uses it: a token budget, a turn for everyone, a stream that stops."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from rag.errors import ModelError
from rag.plugging import advice, resolve
from rag.records import ModelInfo
from rag.settings import Settings
from rag.turns import Turns

if TYPE_CHECKING:
    from llama_index.core.base.llms.types import CompletionResponse
    from llama_index.core.llms import LLM

    from rag.models.folder import ModelFolder

WAIT_SECONDS = 120.0
_SETTING = "llm.model"
# what `llm.adapter` is where it names none
_NO_NAME = ("", "auto", "none")


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a prompt."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of generated text, and how many tokens there are so far.

    The last piece may have no text; `prompt_tokens` is what a server says that it read.
    """

    text: str
    tokens: int
    prompt_tokens: int | None = None


class Generator:
    """A loaded LLM, shared by all questions: `llm.concurrency` at once, `llm.queue` in line."""

    def __init__(
        self, llm: LLM, info: ModelInfo, count: Callable[[str], int], settings: Settings
    ) -> None:
        self._llm = llm
        self._turns = Turns(settings.llm_concurrency, settings.llm_queue)
        # a plugged-in LLM knows its own chat template as `messages_to_prompt`
        self._render: Any = getattr(llm, "prompt", None) or llm.messages_to_prompt
        self._stoppable = getattr(llm, "stoppable", False)
        self.info = info
        self.count = count
        window = llm.metadata.context_window
        self.prompt_tokens = min(
            settings.llm_max_prompt_tokens, max(window - settings.llm_max_new_tokens, window // 2)
        )

    @property
    def llm(self) -> LLM:
        """What it generates with."""
        return self._llm

    def close(self) -> None:
        """Give back what the LLM holds, and wait until it does; nothing may be using it."""
        if close := getattr(self._llm, "close", None):
            close()

    def prompt(self, messages: Sequence[Message]) -> str:
        """The messages as one prompt, in the model's own chat template."""
        from llama_index.core.base.llms.types import ChatMessage

        chat = [ChatMessage(role=m.role, content=m.content) for m in messages]
        return str(self._render(chat))

    @contextmanager
    def generate(
        self, prompt: str, parameters: Mapping[str, Any], stop: threading.Event, asker: str = ""
    ) -> Iterator[Iterator[Delta]]:
        """Wait for a turn, then generate; leaving the block stops the model at its next token.

        So does setting `stop` from another thread, also while the prompt is being read, where
        the LLM is Cloister's own; while waiting it gives the place in the line up, and nothing is
        generated. Askers who wait have their turns one after another, however much each asks.
        Raises Busy when too many wait or for too long, ModelError when the model fails.
        """
        with self._turns.turn(stop, asker, WAIT_SECONDS) as begun:
            if not begun:
                yield iter(())
                return
            own = {"stop": stop} if self._stoppable else {}
            completions = self._llm.stream_complete(prompt, formatted=True, **parameters, **own)
            try:
                yield _deltas(completions)
            finally:
                close = getattr(completions, "close", None)
                if close:
                    close()


def _deltas(completions: Iterable[CompletionResponse]) -> Iterator[Delta]:
    tokens = 0
    for part in completions:
        raw = part.raw if isinstance(part.raw, dict) else {}
        tokens = int(raw.get("tokens", tokens + 1))
        read = raw.get("prompt_tokens")
        if part.delta or read is not None:
            yield Delta(part.delta or "", tokens, read)


def load_generator(settings: Settings) -> Generator | None:
    """The LLM that the settings name, or None: a server's, a folder's, or `package.module:Class`.

    Raises ModelError when it is missing, altered, does not fit or does not load, or where the
    adapter is, is of another model or may not be used, or the server's address is not allowed; Busy
    where the server does not answer yet.
    """
    none = settings.llm_model in ("", "none")
    if settings.llm_url and not none:
        return _of_server(settings)
    plugged_in = ":" in settings.llm_model
    named = settings.llm_adapter not in _NO_NAME
    if named and (none or plugged_in):
        raise ModelError(
            f"“{settings.llm_model}” is no model folder, so no adapter can be put on it. Set "
            "llm.adapter to none."
        )
    if none:
        return None
    if plugged_in:
        from llama_index.core.llms import LLM

        plugged = resolve(settings.llm_model, _SETTING)()
        if not isinstance(plugged, LLM):
            raise ModelError(f"“{settings.llm_model}” is not a LlamaIndex LLM. {advice(_SETTING)}")
        info = ModelInfo(settings.llm_model, "", "elsewhere")
        return Generator(plugged, info, lambda text: len(text) // 3 + 1, settings)
    from rag.models.fitting import loading
    from rag.models.folder import find_model, verify

    with loading(settings):
        folder = find_model(settings.models_path, settings.llm_model)
        verify(folder)
        return _of_folder(settings, folder, None)


def load_beside(settings: Settings, base: Generator) -> Generator:
    """The adapter of the settings on a loaded LLM of their model, whose weights both have then.

    Raises ModelError where the adapter cannot be put there.
    """
    from rag.models.folder import find_model

    return _of_folder(settings, find_model(settings.models_path, settings.llm_model), base)


def _of_folder(settings: Settings, folder: ModelFolder, base: Generator | None) -> Generator:
    from rag.models.adapter import pick_adapter
    from rag.models.engine import LocalLLM
    from rag.models.programs import graphs_of
    from rag.models.threads import with_all_cores

    adapter = pick_adapter(settings.models_path, settings.llm_adapter, folder)
    load = partial(
        LocalLLM,
        folder.path,
        settings.llm_device,
        settings.llm_precision,
        adapter.path if adapter else None,
        settings.llm_template,
        rows=settings.llm_concurrency,
        cache_bytes=settings.llm_cache_mb * 2**20 or None,
        graphs=graphs_of(settings),
        question_tokens=settings.llm_max_prompt_tokens + settings.llm_max_new_tokens,
        base=base.llm if base else None,
    )
    llm = with_all_cores(load)
    info = ModelInfo(
        folder.name,
        folder.revision,
        llm.device,
        adapter.id if adapter else None,
        llm.quantization,
        precision=llm.precision,
        merged=llm.merged if adapter else None,
    )
    return Generator(llm, info, llm.count, settings)


def _of_server(settings: Settings) -> Generator:
    from rag.models.remote import RemoteLLM

    if settings.llm_adapter not in _NO_NAME:
        raise ModelError(
            "llm.adapter is set, but the LLM runs on the server at llm.url. Put the adapter on the "
            "model there, and set llm.adapter to none."
        )
    llm = RemoteLLM(settings)
    return Generator(llm, llm.info, llm.count, settings)
