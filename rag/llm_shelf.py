"""The LLMs that answer for those who choose one, beside the LLM in use.

Each is loaded when it is first asked for, if it fits; the one that was used longest ago makes room.
Adapters of a base that is loaded are put on its weights, which are not loaded again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from rag.current_llm import LOOK_SECONDS, CurrentLLM
from rag.errors import Busy, CloisterError, ModelError
from rag.generation import WAIT_SECONDS, Generator, load_beside, load_generator
from rag.llm_groups import Group, Groups
from rag.llm_room import Need, adapter_need, model_need
from rag.model_pick import NONE, Pick, find_pick, name_in_use, named_by, resolve
from rag.models.room import let_go
from rag.records import NO_MODEL, ModelInfo
from rag.settings import Settings

log = logging.getLogger("cloister.models")

# closing waits so long for a model that is being loaded
_CLOSE_SECONDS = 5.0


class Keeper(Protocol):
    """The library as the shelf needs it."""

    @property
    def settings(self) -> Settings:
        """The settings that hold now."""

    @property
    def current_llm(self) -> CurrentLLM:
        """The LLM in use."""


@dataclass(slots=True, eq=False)
class _Load:
    """A model that is being loaded, and how many wait for it."""

    name: str
    wanted: int = 0
    ended: bool = False
    problem: CloisterError | None = None


class LLMShelf:
    """Gives each answer the LLM that was chosen for it. Safe to use from several threads."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._groups = Groups()
        self._changed = self._groups.changed
        self._load: _Load | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def in_use(self) -> ModelInfo:
        """The LLM in use; until it is loaded, what the settings name."""
        current, settings = self._keeper.current_llm, self._keeper.settings
        if current.info == NO_MODEL and current.wanted:
            return named_by(settings)
        return current.info

    @property
    def loaded(self) -> tuple[str, ...]:
        """The names of what is loaded beside the LLM in use."""
        return self._groups.names

    @property
    def busy(self) -> tuple[str, ...]:
        """The names of what is being loaded, and of what was retired and still answers.

        So too of what is loaded for one purpose only, and of an earlier LLM in use.
        """
        return (*self._keeper.current_llm.busy, *self._groups.retired)

    def freeable(self, base: str = "") -> int:
        """The bytes of what is loaded beside the LLM in use, which can be freed for another.

        With `base` the weights of that model stay, and what is on them.
        """
        return self._groups.bytes_beside(self._groups.of_base(base) if base else None)

    def resolve(self, text: str) -> str:
        """The whole name of a model that a question chooses. Raises as `model_pick.resolve`."""
        return resolve(self._keeper.settings, text, self.in_use)

    def holds(self, base: str) -> bool:
        """Whether a model's weights are loaded so that adapters can be put beside them."""
        if packed(self._keeper.settings):
            return False
        return self._groups.of_base(base) is not None or self._in_use_is(base)

    def info(self, name: str) -> ModelInfo:
        """What is known of a model that is chosen, before it has answered; empty: the one in use.

        Raises as `find_pick` where it is not here any more.
        """
        if name == "" or self._in_use_is(name):
            return self._keeper.current_llm.info
        if found := self._groups.find(name):
            return found[1].info
        pick = find_pick(self._keeper.settings, name)
        if pick.folder is None:
            return NO_MODEL
        from rag.models.device import pick_device

        device = pick_device(self._keeper.settings.llm_device)
        adapter = pick.adapter.id if pick.adapter else None
        return ModelInfo(pick.folder.name, pick.folder.revision, device, adapter)

    def must_load(self, name: str) -> bool:
        """Whether who uses this model now waits until it is loaded."""
        here = name in ("", NONE) or self._in_use_is(name)
        return not here and self._groups.find(name) is None

    @contextmanager
    def use(self, name: str, stop: threading.Event) -> Iterator[Generator | None]:
        """A model by its whole name, loaded where it is not; empty: the LLM in use.

        None where answers are quotes, and where `stop` was set meanwhile. Raises Busy where the
        wait is too long, ModelError where there is no room for it or it does not load.
        """
        if name == NONE:
            yield None
            return
        taken = None
        while taken is None and not stop.is_set():
            if name == "" or self._in_use_is(name):
                with self._keeper.current_llm.use(stop) as generator:
                    if not name or stop.is_set() or name == _named(generator):
                        yield generator
                        return
            taken = self._take(name, stop)
        try:
            yield taken[1] if taken else None
        finally:
            if taken:
                self._groups.leave(taken[0])

    def free_unused(self) -> None:
        """Free every model that no answer is using."""
        self._groups.free_unused()

    def retire(self) -> None:
        """Give none of the models out any more; each is freed when its last answer has left it."""
        self._groups.retire()

    def wait_until_left(self, seconds: float, stop: threading.Event) -> bool:
        """Whether nothing that was retired is in use, within so many seconds and before `stop`."""
        return self._groups.wait_until_left(seconds, stop)

    def close(self) -> None:
        """Free all, and wait a few seconds for what is being loaded; nothing is given out then."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(_CLOSE_SECONDS)
        self.retire()

    def _in_use_is(self, name: str) -> bool:
        return name == name_in_use(self._keeper.current_llm.info)

    def _take(self, name: str, stop: threading.Event) -> tuple[Group, Generator] | None:
        """The model, of which the group is entered; it is loaded once, whoever waits for it.

        None where `stop` was set, and where it is the LLM in use by now.
        """
        until = time.monotonic() + WAIT_SECONDS
        load: _Load | None = None
        with self._changed:
            try:
                while not stop.is_set():
                    if self._closed:
                        raise Busy("Cloister is stopping. Ask again when it is back.")
                    if found := self._groups.find(name):
                        self._groups.enter(found[0])
                        return found
                    if self._in_use_is(name):
                        return None
                    if load is not None and load.ended:
                        if load.problem is not None:
                            raise type(load.problem)(str(load.problem)) from load.problem
                        load = None
                    if load is None:
                        load = self._begun(name)
                    if load is None and time.monotonic() > until:
                        raise Busy("Another model is being loaded; ask again in a few minutes.")
                    self._changed.wait(LOOK_SECONDS)
                return None
            finally:
                if load is not None:
                    load.wanted -= 1

    def _begun(self, name: str) -> _Load | None:
        """The loading of a model, begun if need be; None while another one is being loaded."""
        if self._load is None:
            self._load = load = _Load(name)
            # a daemon would be cut off inside torch when the interpreter ends
            self._thread = threading.Thread(target=self._run, args=(load,), name="load-llm")
            self._thread.start()
        elif self._load.name != name:
            return None
        self._load.wanted += 1
        return self._load

    def _run(self, load: _Load) -> None:
        problem: CloisterError | None = None
        until = time.monotonic() + WAIT_SECONDS
        try:
            current = self._keeper.current_llm
            with (
                current.loads(lambda: self._unwanted(load) or time.monotonic() > until),
                current.holds(load.name),
            ):
                try:
                    self._bring(load)
                except Exception as error:
                    let_go(error)  # within `loads`: the next one measures what is free
                    raise
        except CloisterError as error:
            problem = error
        except Exception:  # a thread's boundary
            log.exception("The LLM %s could not be loaded", load.name)
            problem = ModelError(f"{load.name} could not be loaded; see logs/server.log.")
        with self._changed:
            load.problem, load.ended, self._load = problem, True, None
            closed = self._closed
            self._changed.notify_all()
        if closed:
            self.retire()

    def _unwanted(self, load: _Load) -> bool:
        return self._closed or not load.wanted

    def _bring(self, load: _Load) -> None:
        """Load a model, or put an adapter on a base that is loaded, or is then.

        Not where it is the LLM in use by now, or nobody waits for it any more.
        """
        if self._in_use_is(load.name):
            return
        settings = self._keeper.settings
        # what is here and allowed may have changed since the question came
        pick = find_pick(settings, resolve(settings, load.name, self.in_use))
        if pick.adapter is None or packed(settings):
            self._add(load, pick)
        elif not self._on_base(load, pick):
            more = adapter_need(settings_for(settings, pick), pick).bytes
            if self._add(load, Pick(pick.folder), more):
                self._on_base(load, pick)

    def _add(self, load: _Load, pick: Pick, more: int = 0) -> bool:
        """Load a model with weights of its own; so many bytes `more` are needed soon after it.

        False where nobody waits for it any more.
        """
        own = settings_for(self._keeper.settings, pick)
        need = model_need(own)
        self._make_room(load, Need(need.bytes + more, need.device), weights=True)
        if self._unwanted(load):
            return False
        generator = load_generator(own)
        if generator is None:
            raise ModelError(f"{pick.name} is no model.")
        log.info("The LLM %s is loaded beside the one in use.", pick.name)
        base = pick.name if pick.adapter is None and not packed(own) else ""
        self._groups.put(Group(base, own=True), pick.name, generator, need.bytes)
        return True

    def _on_base(self, load: _Load, pick: Pick) -> bool:
        """Put an adapter on the weights of its base; False where those are not loaded."""
        base = Pick(pick.folder).name
        own = settings_for(self._keeper.settings, pick)
        group = self._groups.of_base(base)
        if group is None and not self._in_use_is(base):
            return False
        need = adapter_need(own, pick)
        with self._groups.using(group):
            self._make_room(load, need, weights=False, staying=group)
            if group is not None and base in group.engines:
                generator = load_beside(own, group.engines[base])
            else:
                with self._keeper.current_llm.use(threading.Event()) as in_use:
                    if in_use is None or _named(in_use) != base:
                        return False
                    generator = load_beside(own, in_use)
            group = group or Group(base, own=False)
            self._groups.put(group, pick.name, generator, need.bytes)
        return True

    def _make_room(
        self, load: _Load, need: Need, weights: bool, staying: Group | None = None
    ) -> None:
        self._groups.make_room(
            self._keeper.settings,
            load.name,
            need,
            weights,
            WAIT_SECONDS,
            lambda: self._unwanted(load),
            staying,
        )


def settings_for(settings: Settings, pick: Pick) -> Settings:
    """The settings with another LLM, by the names of its folders."""
    folder = pick.folder.path.name if pick.folder else NONE
    adapter = pick.adapter.path.name if pick.adapter else ""
    return replace(settings, llm_model=folder, llm_adapter=adapter)


def packed(settings: Settings) -> bool:
    """Whether weights are packed here so that peft can put nothing beside them."""
    from rag.models.device import pick_device

    return settings.llm_precision == "int8" and pick_device(settings.llm_device) == "cpu"


def _named(generator: Generator | None) -> str:
    return name_in_use(generator.info) if generator else NONE
