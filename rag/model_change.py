"""Changes the LLM that answers, without a restart, and goes back where the new one fails.

The new one is loaded beside the old one where memory allows; else running answers end first and the
old one is unloaded, while new answers wait. It must pass a first question before it gets others'.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from rag.current_llm import CurrentLLM, Seat
from rag.errors import Busy, CloisterError, ModelError, NotFound, UsageError
from rag.generation import Generator, load_generator
from rag.llm_shelf import LLMShelf
from rag.models.adapter import AUTO, NONE, is_shipped
from rag.models.consent import now
from rag.models.hardware import free_bytes
from rag.models.room import give_back, let_go, needed_bytes
from rag.models.smoke import SECONDS, smoke_test
from rag.records import ModelInfo
from rag.settings import Settings
from rag.settings_file import FILE, change_settings, changed, read_settings_text

log = logging.getLogger("cloister.models")

Stage = Literal["checking", "draining", "loading", "testing", "switching"]

# answers under way may take so long before the change is given up
DRAIN_SECONDS = 600.0
_NAMES = {"llm.model": "CLOISTER_LLM_MODEL", "llm.adapter": "CLOISTER_LLM_ADAPTER"}


@dataclass(frozen=True, slots=True)
class Changing:
    """A change under way: to which model and adapter (`auto`, `none`), how far, since when."""

    model: str
    adapter: str
    stage: Stage
    since: str


@dataclass(frozen=True, slots=True)
class Changed:
    """How a change ended. Where it is not `ok`, `problem` says why, and the LLM before answers.

    `notes` is what is to be told where it went well: that it will not last, for instance.
    """

    model: str
    adapter: str
    ok: bool
    ended_at: str
    problem: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelState:
    """Which LLM answers (None: none is loaded), and the change under way and the last one.

    `others` are those that are loaded beside it for the questions that choose them; `busy` those
    that are being loaded, compared or made to answer again, or that still answer in their last use.
    """

    active: ModelInfo | None
    changing: Changing | None
    last: Changed | None
    others: tuple[str, ...] = ()
    busy: tuple[str, ...] = ()


class Keeper(Protocol):
    """The library as a change of its LLM needs it."""

    @property
    def settings(self) -> Settings:
        """The settings that hold now."""

    @property
    def current_llm(self) -> CurrentLLM:
        """The LLM in use."""

    def tell(self, part: str, state: str) -> None:
        """Say whether a part is ready."""

    @property
    def other_llms(self) -> LLMShelf:
        """Those that questions choose."""

    def adopt(self, settings: Settings) -> None:
        """Answer by the LLM in use, under these settings."""


class ModelChange:
    """The changes of one library's LLM: one at a time, each in a thread of its own."""

    def __init__(self, keeper: Keeper, smoke_seconds: float = SECONDS) -> None:
        self._keeper = keeper
        self._smoke_seconds = smoke_seconds
        self._lock = threading.Lock()
        self._changing: Changing | None = None
        self._last: Changed | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> ModelState:
        """What is in use, and what is being changed."""
        seat = self._keeper.current_llm.seat
        active = self._keeper.current_llm.info if seat else None
        others = self._keeper.other_llms
        # before and after: what ends to be loaded, or is retired, meanwhile is in one of the three
        busy, loaded = others.busy, others.loaded
        busy = tuple(dict.fromkeys((*busy, *others.busy)))
        return ModelState(active, self._changing, self._last, loaded, busy)

    def begin(self, model: str, adapter: str = AUTO) -> None:
        """Check a model's name and begin to change to it.

        Raises UsageError and NotFound for what cannot be used by name, or a settings file that
        cannot be changed by machine, Busy while another change is under way.
        """
        new = chosen(self._keeper.settings, model, adapter)
        values = _values(new)
        changed(read_settings_text(new.home), values)
        with self._lock:
            if self._stopping.is_set():
                raise Busy("Cloister is stopping; the LLM is not changed any more.")
            if self._changing is not None:
                raise Busy(
                    f"The LLM is being changed to {self._changing.model} already. Wait until that "
                    "has ended: cloister models use shows how far it is."
                )
            self._changing = Changing(model, new.llm_adapter, "checking", now())
        # a daemon would be cut off inside torch when the interpreter ends
        self._thread = threading.Thread(
            target=self._run, args=(new, values, model), name="change-llm"
        )
        self._thread.start()

    def stop(self) -> None:
        """Give a change under way up as soon as it can be."""
        self._stopping.set()

    def wait(self, seconds: float) -> bool:
        """Whether no change is under way any more, within so many seconds."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self._changing is None

    def _run(self, new: Settings, values: dict[str, str], model: str) -> None:
        problem: str | None = None
        notes: tuple[str, ...] = ()
        try:
            llm = self._keeper.current_llm
            with llm.loads(self._stopping.is_set):
                old, notes = self._change(new, values)
            if old is not None and llm.wait_until_left(old, DRAIN_SECONDS, self._stopping):
                _empty(old)
            log.info("The LLM is %s now.", model)
        except CloisterError as error:
            problem = str(error)
            log.warning("The LLM was not changed to %s: %s", model, error)
        except Exception:  # a thread's boundary
            problem = f"{model} could not be used; see logs/server.log."
            log.exception("The LLM was not changed to %s", model)
        self._last = Changed(model, new.llm_adapter, problem is None, now(), problem, notes)
        self._changing = None

    def _change(self, new: Settings, values: dict[str, str]) -> tuple[Seat | None, tuple[str, ...]]:
        """What was in use before, which may be in use still, and what is to be told."""
        keeper, llm = self._keeper, self._keeper.current_llm
        before, had = keeper.settings, llm.seat is not None
        generator: Generator | None = None
        try:
            if not self._fits_beside(new):
                self._stage("draining")
                self._unload()
            self._stage("loading")
            generator = load_generator(new)
            if generator is not None and not self._stopping.is_set():
                self._stage("testing")
                smoke_test(generator, self._smoke_seconds)
            if self._stopping.is_set():
                raise Busy("Cloister is stopping; the LLM was not changed.")
        except Exception as error:
            try:
                _close(generator)
                generator = None
                let_go(error)  # else its weights would be in the way of those that come back
            finally:
                if had and llm.seat is None and not self._stopping.is_set():
                    self._reload(before)
            raise
        self._stage("switching")
        old = llm.put(generator)
        generator = None
        keeper.other_llms.retire()
        keeper.adopt(new)
        return old, _written(new, values)

    def _fits_beside(self, new: Settings) -> bool:
        """Whether there is memory for both. Raises ModelError where there is not even for one."""
        needed, device = _needed(new)
        if not needed:
            return True
        free = free_bytes(device)
        if needed > free:
            self._keeper.other_llms.free_unused()
            free = free_bytes(device)
        if needed <= free:
            return True
        old = 0
        if self._keeper.current_llm.seat is not None:
            old, place = _needed(self._keeper.settings)
            old = old if place == device else 0
        if needed > free + old:
            raise ModelError(
                f"{new.llm_model} needs about {needed / 1e9:.1f} GB on {device}; "
                f"{(free + old) / 1e9:.1f} GB are free, the present LLM's memory included. Take a "
                "smaller model or another precision (llm.precision)."
            )
        return False

    def _unload(self) -> None:
        """Let running answers end and free the LLM; new ones wait. Raises Busy if they do not."""
        llm = self._keeper.current_llm
        old = llm.take_away()
        if old is None:
            return
        others = self._keeper.other_llms
        others.retire()  # their adapters may be on the same weights
        if not (
            llm.wait_until_left(old, DRAIN_SECONDS, self._stopping)
            and others.wait_until_left(DRAIN_SECONDS, self._stopping)
        ):
            llm.restore(old)
            raise Busy(
                "There is no memory for both models, and the answers under way did not end; the "
                "LLM was not changed. Try again when fewer people ask."
            )
        self._keeper.tell("llm", "loading")
        _empty(old)

    def _reload(self, before: Settings) -> None:
        """Bring the LLM back that was unloaded. Raises ModelError where that fails too."""
        try:
            self._keeper.current_llm.put(load_generator(before))
        except Exception as error:  # else “loading” would stand for ever, and every change refused
            reason = str(error)
            if not isinstance(error, CloisterError):
                reason = "it failed; see logs/server.log"
                log.exception("The LLM %s could not be loaded again", before.llm_model)
            self._keeper.tell("llm", reason)
            raise ModelError(
                f"Neither the new LLM could be used nor {before.llm_model} be loaded again: "
                f"{reason}"
            ) from error
        self._keeper.tell("llm", "ready")

    def _stage(self, stage: Stage) -> None:
        if self._changing is not None:
            self._changing = replace(self._changing, stage=stage)


def use_here(
    settings: Settings, model: str, adapter: str, say: Callable[[str], None]
) -> tuple[ModelInfo | None, tuple[str, ...]]:
    """Check a model, ask it a first question and write the setting; for where no server runs.

    The library's lock must be held. Raises as a change in the server does.
    """
    new = chosen(settings, model, adapter)
    values = _values(new)
    changed(read_settings_text(new.home), values)
    needed, device = _needed(new)
    if needed > (free := free_bytes(device)):
        raise ModelError(
            f"{model} needs about {needed / 1e9:.1f} GB on {device}; {free / 1e9:.1f} GB are free. "
            "Take a smaller model or another precision (llm.precision)."
        )
    say("loading")
    generator = load_generator(new)
    info = None
    if generator is not None:
        say("testing")
        smoke_test(generator)
        info = generator.info
        _close(generator)
    return info, _written(new, values)


def chosen(settings: Settings, model: str, adapter: str) -> Settings:
    """The settings with another LLM, which is in the models folder.

    A name without its organisation is made whole, so that it means the same model for ever.
    Raises NotFound where it is not there; UsageError for an embedder, for a path or a class, which
    only the operator may name, in `cloister.toml`, and where `llm.url` names a server.
    """
    if settings.llm_url:
        how = (
            "Set llm.model to none"
            if model == "none"
            else "Choose its model there and in llm.model"
        )
        raise UsageError(
            f"The LLM runs on the server at llm.url, which `use` could not come back to. {how} in "
            "cloister.toml and start again, or set llm.url to nothing first."
        )
    if model == "none":
        if adapter not in ("", AUTO, NONE):
            raise UsageError("none is no model, so no adapter can be put on it.")
        return replace(settings, llm_model=model, llm_adapter=adapter or NONE)
    from rag.models.folder import EMBEDDER, find_model, of_an_organisation

    name, at, revision = model.partition("@")
    if name and not (settings.models_path / name.replace("/", "--", 1)).is_dir():
        for path in of_an_organisation(settings.models_path, name):
            name = path.name.replace("--", "/", 1)
            model = f"{name}{at}{revision}"
    for what, wanted in (("model", name.replace("/", "--", 1)), ("adapter", adapter)):
        if what == "adapter" and (wanted in ("", AUTO, NONE) or is_shipped(wanted)):
            continue
        if what == "model" and "+" in wanted and not (settings.models_path / wanted).is_dir():
            base, _, put = model.partition("+")
            raise NotFound(
                f"There is no model “{model[:120]}” in the models folder. An adapter is named "
                f"apart: cloister models use {base[:120]} --adapter {put[:120]}"
            )
        plain = wanted and "/" not in wanted and ":" not in wanted and wanted[0] != "."
        if not plain or not (settings.models_path / wanted).is_dir():
            raise NotFound(
                f"There is no {what} “{(model if what == 'model' else adapter)[:120]}” in the "
                "models folder: cloister models list. What lies elsewhere is named in "
                "cloister.toml."
            )
    if find_model(settings.models_path, model).task == EMBEDDER:
        raise UsageError(f"{model} is an embedder, no LLM; embedder.model names it.")
    return replace(settings, llm_model=model, llm_adapter=adapter or NONE)


def _values(new: Settings) -> dict[str, str]:
    """What is written of the settings; an adapter that is chosen by itself is not."""
    adapter = "" if new.llm_adapter == AUTO else new.llm_adapter
    return {"llm.model": new.llm_model, "llm.adapter": adapter}


def _needed(settings: Settings) -> tuple[int, str]:
    """The memory of the LLM that settings name and its device; 0 where that cannot be told."""
    if settings.llm_model in ("", "none") or ":" in settings.llm_model:
        return 0, "cpu"
    from rag.models.device import pick_device
    from rag.models.folder import find_model

    device = pick_device(settings.llm_device)
    folder = find_model(settings.models_path, settings.llm_model)
    return needed_bytes(folder.path, settings, device), device


def _written(settings: Settings, values: dict[str, str]) -> tuple[str, ...]:
    """Write the setting; what is to be told of it: that it will not last, where it will not."""
    notes = []
    try:
        change_settings(settings.home, values)
    except CloisterError as error:
        notes.append(f"It answers until the next start only: {FILE} was not changed. {error}")
    notes += [
        f"The variable {variable} is set and stands above {FILE}: at the next start it decides."
        for name, variable in _NAMES.items()
        if (given := os.environ.get(variable)) and given != (values[name] or AUTO)
    ]
    return tuple(notes)


def _empty(seat: Seat) -> None:
    """Free the memory of an LLM that nothing uses any more."""
    generator, seat.generator = seat.generator, None
    _close(generator)
    del generator
    give_back()


def _close(generator: Generator | None) -> None:
    if generator is not None:
        generator.close()
