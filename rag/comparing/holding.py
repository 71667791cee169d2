"""Each model of a comparison in memory while it answers, and freed before the next one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rag.comparing.entries import Entry
from rag.errors import ModelError
from rag.generation import Generator, load_generator
from rag.models.peak import Peak
from rag.models.smoke import smoke_test
from rag.records import ModelInfo
from rag.settings import Settings

if TYPE_CHECKING:
    from rag.library import Library

# another model's replay or change may take so long before the next model's turn
_WAIT_SECONDS = 900.0

Using = Callable[[], AbstractContextManager[Generator | None]]


@dataclass(frozen=True, slots=True)
class Held:
    """A model that is ready: `using` gives it for an answer, None of it where answers are quotes.

    `peak` counts its memory from before it was loaded; None where it was loaded already. `beside`
    says that others are answered meanwhile.
    """

    using: Using
    peak: Peak | None
    beside: bool = False


Hold = Callable[[Entry, threading.Event], AbstractContextManager[Held]]
Load = Callable[[Settings], Generator | None]


def alone(load: Load = load_generator) -> Hold:
    """Loads each model by itself; for a process in which no other LLM is."""

    @contextmanager
    def hold(entry: Entry, stop: threading.Event) -> Iterator[Held]:
        with _loaded(entry, load) as held:
            yield held

    return hold


def beside(library: Library, load: Load = load_generator) -> Hold:
    """Loads each model beside the LLM of a library, which goes on answering others.

    Where that LLM is meant itself, it is used as it is.
    """

    @contextmanager
    def hold(entry: Entry, stop: threading.Event) -> Iterator[Held]:
        if not entry.is_none and in_use(library, entry):
            yield Held(lambda: _using_current(library, entry, stop), None, beside=True)
            return
        if entry.is_none:
            yield Held(_none, None, beside=True)
            return
        with ExitStack() as stack:
            stack.enter_context(library.current_llm.holds(entry.name))
            with library.current_llm.loads(_patience(stop)):
                # its own memory is then measured from what is there, not from what goes meanwhile
                library.other_llms.free_unused()
                refuse_too_large(library, entry)
                held = stack.enter_context(_loaded(entry, load))
            yield replace(held, beside=True)

    return hold


def in_use(library: Library, entry: Entry) -> bool:
    """Whether the LLM that answers now is just this one."""
    return _fingerprint(library.current_llm.info) == entry.fingerprint


def refuse_too_large(library: Library, entry: Entry, freed: int = 0) -> None:
    """Raises ModelError where a model does not fit beside the LLM in use.

    So many bytes `freed` will be free in addition when it is loaded.
    """
    if entry.is_none or in_use(library, entry):
        return
    from rag.models.device import pick_device
    from rag.models.folder import find_model
    from rag.models.hardware import free_bytes
    from rag.models.room import needed_bytes

    own = entry.settings
    device = pick_device(own.llm_device)
    folder = find_model(own.models_path, own.llm_model).path
    needed, free = needed_bytes(folder, own, device), free_bytes(device) + freed
    if needed > free:
        raise ModelError(
            f"{entry.name} needs about {needed / 1e9:.1f} GB and does not fit beside the LLM in "
            f"use: {free / 1e9:.1f} GB are free. Leave it out, let a smaller LLM answer meanwhile "
            "(cloister models use none), or stop the server and compare by the command."
        )


@contextmanager
def _loaded(entry: Entry, load: Load) -> Iterator[Held]:
    """A model from before it is loaded, and asked a first question, until it is freed."""
    from rag.models.room import give_back

    give_back()
    peak = Peak(_device(entry))
    generator = load(entry.settings)
    try:
        if generator is not None:
            smoke_test(generator)
        # not as a default of the function: that would keep the model
        yield Held(lambda: _just(generator), peak)
    finally:
        if generator is not None:
            generator.close()
        generator = None
        give_back()


@contextmanager
def _just(generator: Generator | None) -> Iterator[Generator | None]:
    yield generator


@contextmanager
def _none() -> Iterator[None]:
    yield None


@contextmanager
def _using_current(
    library: Library, entry: Entry, stop: threading.Event
) -> Iterator[Generator | None]:
    """The LLM in use for one answer, so that a change of it need not wait for all of them."""
    with library.current_llm.use(stop) as generator:
        if not stop.is_set() and (
            generator is None or _fingerprint(generator.info) != entry.fingerprint
        ):
            raise ModelError(
                f"Another LLM took the place of {entry.name} while it was compared. Compare again "
                "to go on."
            )
        yield generator


def _patience(stop: threading.Event) -> Callable[[], bool]:
    """Whether to wait no longer until nothing else is loaded, asked again and again."""
    until = time.monotonic() + _WAIT_SECONDS
    return lambda: stop.is_set() or time.monotonic() > until


def _device(entry: Entry) -> str:
    if entry.is_none:
        return "cpu"
    from rag.models.device import pick_device

    return pick_device(entry.settings.llm_device)


def _fingerprint(info: ModelInfo) -> str:
    """As an entry's."""
    return " ".join(filter(None, (info.id, info.revision, info.adapter)))
