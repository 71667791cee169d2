"""LLMs that are loaded beside the one in use, in groups that have the same weights."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rag.current_llm import LOOK_SECONDS
from rag.errors import Busy
from rag.generation import Generator
from rag.llm_room import Need, no_room
from rag.models.hardware import free_bytes
from rag.models.room import give_back
from rag.settings import Settings


@dataclass(slots=True, eq=False)
class Group:
    """LLMs on one base's weights, by the name that a question gives each.

    `base` is what adapters can be put on, empty where they cannot. `own` is whether the group alone
    holds the weights; else they are those of the LLM in use. `bytes` is what it takes; `used`
    counts up with each use of any group.
    """

    base: str
    own: bool
    engines: dict[str, Generator] = field(default_factory=dict)
    users: int = 0
    bytes: int = 0
    used: int = 0


class Groups:
    """What is loaded, and who uses it. `changed` guards it, and tells of each change."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._here: list[Group] = []
        self._retired: list[Group] = []
        self._uses = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all that is loaded."""
        with self.changed:
            return tuple(name for group in self._here for name in group.engines)

    @property
    def retired(self) -> tuple[str, ...]:
        """The names of what is given out no more, and still answers."""
        with self.changed:
            # each group's names at once: it may be freed meanwhile
            return tuple(name for group in self._retired for name in tuple(group.engines))

    def bytes_beside(self, staying: Group | None) -> int:
        """The memory that all of it takes but for one group."""
        with self.changed:
            return sum(group.bytes for group in self._here if group is not staying)

    def find(self, name: str) -> tuple[Group, Generator] | None:
        """A model by its whole name, where it is loaded."""
        with self.changed:
            for group in self._here:
                if name in group.engines:
                    return group, group.engines[name]
        return None

    def of_base(self, base: str) -> Group | None:
        """The group of which the weights are a base's, and can bear adapters."""
        with self.changed:
            return next((group for group in self._here if group.base == base), None)

    def enter(self, group: Group) -> None:
        """Use a group: until `leave` it is not freed."""
        with self.changed:
            group.users += 1
            self._touch(group)

    def leave(self, group: Group) -> None:
        """Use it no more; what was retired is freed when nothing uses it."""
        with self.changed:
            group.users -= 1
            gone = not group.users and group in self._retired
            self.changed.notify_all()
        if gone:
            free([group])
            with self.changed:
                self._retired.remove(group)
                self.changed.notify_all()

    @contextmanager
    def using(self, group: Group | None) -> Iterator[None]:
        """Within this block a group, if there is one, is not freed."""
        if group is None:
            yield
            return
        self.enter(group)
        try:
            yield
        finally:
            self.leave(group)

    def put(self, group: Group, name: str, generator: Generator, size: int) -> None:
        """Add a model of so many bytes to a group, which may be new."""
        with self.changed:
            if group not in self._here:
                self._here.append(group)
            group.engines[name] = generator
            group.bytes += size
            self._touch(group)
            self.changed.notify_all()

    def free_unused(self) -> None:
        """Free every model that no answer is using."""
        with self.changed:
            gone = [group for group in self._here if not group.users]
            self._here = [group for group in self._here if group.users]
        free(gone)

    def retire(self) -> None:
        """Give none of the models out any more; each is freed when its last answer has left it."""
        with self.changed:
            gone = [group for group in self._here if not group.users]
            self._retired += [group for group in self._here if group.users]
            self._here = []
        free(gone)

    def wait_until_left(self, seconds: float, stop: threading.Event) -> bool:
        """Whether nothing that was retired is in use, within so many seconds and before `stop`."""
        until = time.monotonic() + seconds
        with self.changed:
            while self._retired:
                left = until - time.monotonic()
                if left <= 0 or stop.is_set():
                    return False
                self.changed.wait(min(left, LOOK_SECONDS))
        return True

    def make_room(
        self,
        settings: Settings,
        name: str,
        need: Need,
        weights: bool,
        seconds: float,
        given_up: Callable[[], bool],
        staying: Group | None = None,
    ) -> None:
        """Free what was used longest ago until a model fits; nothing where that would not help.

        With `weights` it comes with weights of its own, of which `llm.others` may be here;
        `staying` is the group that it is put on, which is entered. Raises ModelError where it never
        fits beside that and the LLM in use, Busy where all that would have to go is in use for so
        many seconds.
        """
        until = time.monotonic() + seconds
        while True:
            with self.changed:
                many = weights and sum(group.own for group in self._here) >= settings.llm_others
                free_now = free_bytes(need.device) if need.bytes else 0
                short = need.bytes - free_now
                if not many and short <= 0:
                    return
                if short > self.bytes_beside(staying):
                    raise no_room(settings, name, need, free_now)
                unused = [g for g in self._here if not g.users and (g.own or short > 0)]
                if unused and short <= sum(group.bytes for group in unused):
                    oldest = min(unused, key=lambda group: group.used)
                    self._here.remove(oldest)
                elif given_up() or time.monotonic() > until:
                    raise Busy(
                        f"{name} is not loaded: what would have to make room for it is answering. "
                        "Ask again in a moment, or leave the model out."
                    )
                else:
                    self.changed.wait(LOOK_SECONDS)
                    continue
            free([oldest])

    def _touch(self, group: Group) -> None:
        self._uses += 1
        group.used = self._uses


def free(groups: list[Group]) -> None:
    """Give the memory of models back that nothing uses any more."""
    if not groups:
        return
    for group in groups:
        while group.engines:
            _, generator = group.engines.popitem()
            generator.close()
            del generator
    give_back()
