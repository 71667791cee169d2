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
from dataclasses import dataclass, field, replace
from typing import Protocol

from rag.current_llm import LOOK_SECONDS, CurrentLLM
from rag.errors import Busy, CloisterError, ModelError
from rag.generation import WAIT_SECONDS, Generator, load_beside, load_generator
from rag.llm_room import Need, adapter_need, model_need, no_room
from rag.model_pick import NONE, Pick, find_pick, joined, name_in_use, resolve
from rag.models.room import free_bytes, give_back
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
class _Group:
    """LLMs on one base's weights, by the name that a question gives each.

    `own` is whether the weights are held by this group alone; else they are those of the LLM in
    use. `bytes` is what it takes; `used` counts up with each use of any group.
    """

    base: str
    own: bool
    engines: dict[str, Generator] = field(default_factory=dict)
    users: int = 0
    bytes: int = 0
    used: int = 0


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
        self._changed = threading.Condition()
        self._groups: list[_Group] = []
        self._retired: list[_Group] = []
        self._load: _Load | None = None
        self._thread: threading.Thread | None = None
        self._uses = 0
        self._closed = False

    def resolve(self, text: str) -> str:
        """The whole name of a model that a question chooses. Raises as `model_pick.resolve`."""
        return resolve(self._keeper.settings, text, self._keeper.current_llm.info)

    @property
    def loaded(self) -> tuple[str, ...]:
        """The names of what is loaded beside the LLM in use."""
        with self._changed:
            return tuple(name for group in self._groups for name in group.engines)

    def info(self, name: str) -> ModelInfo:
        """What is known of a model that is chosen, before it has answered; empty: the one in use.

        Raises as `find_pick` where it is not here any more.
        """
        in_use = self._keeper.current_llm.info
        if name in ("", name_in_use(in_use)):
            return in_use
        with self._changed:
            if found := self._find(name):
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
        if name in ("", NONE, name_in_use(self._keeper.current_llm.info)):
            return False
        with self._changed:
            return self._find(name) is None

    @contextmanager
    def use(self, name: str, stop: threading.Event) -> Iterator[Generator | None]:
        """A model by its whole name, loaded where it is not; empty: the LLM in use.

        None where answers are quotes, and where `stop` was set meanwhile. Raises Busy where the
        wait is too long, ModelError where there is no room for it or it does not load.
        """
        current = self._keeper.current_llm
        if name in ("", name_in_use(current.info)):
            with current.use(stop) as generator:
                if not name or stop.is_set() or name == _named(generator):
                    yield generator
                    return
        if name == NONE:
            yield None
            return
        taken = self._take(name, stop)
        try:
            yield taken[1] if taken else None
        finally:
            if taken:
                self._leave(taken[0])

    def free_unused(self) -> None:
        """Free every model that no answer is using."""
        with self._changed:
            gone = [group for group in self._groups if not group.users]
            self._groups = [group for group in self._groups if group.users]
        _free(gone)

    def retire(self) -> None:
        """Give none of the models out any more; each is freed when its last answer has left it."""
        with self._changed:
            gone = [group for group in self._groups if not group.users]
            self._retired += [group for group in self._groups if group.users]
            self._groups = []
        _free(gone)

    def wait_until_left(self, seconds: float, stop: threading.Event) -> bool:
        """Whether nothing that was retired is in use, within so many seconds and before `stop`."""
        until = time.monotonic() + seconds
        with self._changed:
            while self._retired:
                left = until - time.monotonic()
                if left <= 0 or stop.is_set():
                    return False
                self._changed.wait(min(left, LOOK_SECONDS))
        return True

    def close(self) -> None:
        """Free all, and wait a few seconds for what is being loaded; nothing is given out then."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(_CLOSE_SECONDS)
        self.retire()

    def _find(self, name: str) -> tuple[_Group, Generator] | None:
        for group in self._groups:
            if name in group.engines:
                return group, group.engines[name]
        return None

    def _take(self, name: str, stop: threading.Event) -> tuple[_Group, Generator] | None:
        """The model, with its group's users counted up; it is loaded once, whoever waits for it."""
        until = time.monotonic() + WAIT_SECONDS
        load: _Load | None = None
        with self._changed:
            try:
                while not stop.is_set():
                    if self._closed:
                        raise Busy("Cloister is stopping. Ask again when it is back.")
                    if found := self._find(name):
                        self._use(found[0])
                        return found
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

    def _use(self, group: _Group) -> None:
        self._uses += 1
        group.users += 1
        group.used = self._uses

    def _leave(self, group: _Group) -> None:
        with self._changed:
            group.users -= 1
            gone = not group.users and group in self._retired
            self._changed.notify_all()
        if gone:
            _free([group])
            with self._changed:
                self._retired.remove(group)
                self._changed.notify_all()

    def _run(self, load: _Load) -> None:
        problem: CloisterError | None = None
        try:
            with self._keeper.current_llm.loads(lambda: self._unwanted(load)):
                self._bring(load)
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
        """Load a model, or put an adapter on a base that is loaded, or is then."""
        settings = self._keeper.settings
        # the names that are resolved may not mean the same by now
        pick = find_pick(settings, resolve(settings, load.name, self._keeper.current_llm.info))
        if pick.adapter is None or _packed(settings):
            self._add(load, pick)
            return
        if self._on_base(load, pick):
            return
        self._add(load, Pick(pick.folder))
        self._on_base(load, pick)

    def _add(self, load: _Load, pick: Pick) -> None:
        own = _settings_for(self._keeper.settings, pick)
        need = model_need(own)
        self._make_room(load, need, weights=True)
        generator = load_generator(own)
        if generator is None:
            raise ModelError(f"{pick.name} is no model.")
        log.info("The LLM %s is loaded beside the one in use.", pick.name)
        base = pick.folder.name if pick.folder and pick.adapter is None else ""
        group = _Group(base, own=True, engines={pick.name: generator}, bytes=need.bytes)
        with self._changed:
            self._uses += 1
            group.used = self._uses
            self._groups.append(group)

    def _on_base(self, load: _Load, pick: Pick) -> bool:
        """Put an adapter on the weights of its base; False where those are not loaded."""
        if pick.folder is None:
            return False
        name, current = pick.folder.name, self._keeper.current_llm
        own = _settings_for(self._keeper.settings, pick)
        need = adapter_need(own, pick)
        with self._changed:
            group = next((group for group in self._groups if group.base == name), None)
            base = group.engines.get(name) if group else None
            if group is not None:
                group.users += 1  # so that making room does not take it
        try:
            if base is None and name_in_use(current.info) != name:
                return False
            self._make_room(load, need, weights=False)
            if base is not None:
                generator = load_beside(own, base)
            else:
                with current.use(threading.Event()) as in_use:
                    if in_use is None or _named(in_use) != name:
                        return False
                    generator = load_beside(own, in_use)
            with self._changed:
                if group is None:
                    group = _Group(name, own=False, users=1)
                    self._groups.append(group)
                group.engines[pick.name] = generator
                group.bytes += need.bytes
                self._uses += 1
                group.used = self._uses
            return True
        finally:
            if group is not None:
                self._leave(group)

    def _make_room(self, load: _Load, need: Need, weights: bool) -> None:
        """Free what was used longest ago until a model fits; nothing where that would not help.

        Raises ModelError where it never fits beside the LLM in use, Busy where all that would have
        to go is in use for too long.
        """
        most, until = self._keeper.settings.llm_others, time.monotonic() + WAIT_SECONDS
        while True:
            gone: list[_Group] = []
            with self._changed:
                many = weights and sum(group.own for group in self._groups) >= most
                short = need.bytes - free_bytes(need.device) if need.bytes else 0
                if not many and short <= 0:
                    return
                if short > sum(group.bytes for group in self._groups):
                    raise no_room(self._keeper.settings, load.name, need, -short + need.bytes)
                unused = [g for g in self._groups if not g.users and (g.own or short > 0)]
                if unused and short <= sum(group.bytes for group in unused):
                    gone = [min(unused, key=lambda group: group.used)]
                    self._groups.remove(gone[0])
                elif time.monotonic() > until or self._unwanted(load):
                    raise Busy(
                        f"{load.name} is not loaded: what would have to make room for it is "
                        "answering. Ask again in a moment, or leave the model out."
                    )
                else:
                    self._changed.wait(LOOK_SECONDS)
            _free(gone)


def _settings_for(settings: Settings, pick: Pick) -> Settings:
    """The settings with another LLM, by the names of its folders."""
    folder = pick.folder.path.name if pick.folder else NONE
    adapter = pick.adapter.path.name if pick.adapter else ""
    return replace(settings, llm_model=folder, llm_adapter=adapter)


def _packed(settings: Settings) -> bool:
    """Whether weights are packed here so that peft can put nothing beside them."""
    from rag.models.device import pick_device

    return settings.llm_precision == "int8" and pick_device(settings.llm_device) == "cpu"


def _named(generator: Generator | None) -> str:
    return name_in_use(generator.info) if generator else joined(NONE, "")


def _free(groups: list[_Group]) -> None:
    """Give the memory of models back that nothing uses any more."""
    if not groups:
        return
    while groups:
        group = groups.pop()
        while group.engines:
            _, generator = group.engines.popitem()
            generator.close()
            del generator
    give_back()
