"""The comparisons that a server makes: one at a time, in a thread, while it answers others."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rag.comparing import store
from rag.comparing.store import Overview
from rag.errors import Busy, CloisterError, TooLarge

if TYPE_CHECKING:
    from rag.comparing.plan import Plan
    from rag.comparing.run import Step
    from rag.evaluation.questions import Item
    from rag.library import Library

log = logging.getLogger("cloister.models")

MOST_QUESTIONS = 5000

State = Literal["running", "stopping", "done", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class Progress:
    """A comparison and how far it is.

    `done` of `total` answers are there, or while it is `searching`, passages of questions. While it
    runs, `stage` is searching, loading or answering, of the model `model`, and `seconds_left` is
    about how long it will take. `problem` says why it failed. One that was
    stopped, as by the server's end, goes on when the same is asked for again. `ended` tells that
    something came out, be it before it was begun once more.
    """

    id: str
    name: str
    models: tuple[str, ...]
    questions: int
    begun: str
    ended: str
    state: State
    done: int
    total: int
    stage: str = ""
    model: str = ""
    seconds_left: float | None = None
    problem: str = ""


class Comparisons:
    """The comparisons of one library, those that ended and the one that is being made."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._lock = threading.Lock()
        self._running: str | None = None
        self._stop = threading.Event()
        self._step: Step | None = None
        # of those that did not end here, why they failed; empty: they were stopped
        self._broken_off: dict[str, str] = {}
        self._closed = False
        self._thread: threading.Thread | None = None

    def begin(
        self,
        models: Sequence[str],
        items: Sequence[Item],
        name: str,
        collections: Sequence[str] | None = None,
        again: bool = False,
    ) -> Progress:
        """Begin a comparison, or go on with it; one that is being made already goes on as it is.

        `name` is that of the questions' file.

        Raises as `rag.comparing.plan.make_plan` does, ModelError where a model does not fit beside
        the LLM in use, TooLarge, and Busy while the library is loading or another one is made.
        """
        from rag.comparing.holding import refuse_too_large
        from rag.comparing.job import begin
        from rag.comparing.plan import make_plan

        library = self._library
        if len(items) > MOST_QUESTIONS:
            raise TooLarge(
                f"{name} holds {len(items):,} questions; at most {MOST_QUESTIONS:,} are compared "
                "at once. Give fewer."
            )
        _ = library.answerer  # raises Busy
        plan = make_plan(library.settings, library.catalog, models, items, name, collections)
        with self._lock:
            if self._closed:
                raise Busy("Cloister is stopping; nothing is compared any more.")
            if self._running == plan.id and not again and not self._stop.is_set():
                return self.progress(plan.id)
            if self._running is not None:
                raise Busy(
                    "Models are being compared already. Wait until that has ended, or stop it."
                )
            for entry in plan.entries:
                # those that no answer uses are freed before it is loaded
                refuse_too_large(library, entry, library.other_llms.freeable())
            overview = begin(library, plan, again)
            self._running, self._step = plan.id, None
            self._stop = threading.Event()
            self._broken_off.pop(plan.id, None)
            # a daemon would be cut off inside torch when the interpreter ends
            self._thread = threading.Thread(
                target=self._run, args=(plan, overview), name="compare-models"
            )
            self._thread.start()
        return self.progress(plan.id)

    def progress(self, comparison: str) -> Progress:
        """How far one is. Raises NotFound."""
        return self._progress(store.read_overview(self._library.settings, comparison))

    def all(self) -> list[Progress]:
        """All of them, the newest first."""
        return [self._progress(one) for one in store.list_overviews(self._library.settings)]

    def result(self, comparison: str) -> Mapping[str, Any] | None:
        """What came out, as JSON values; None where nothing did, or it is made. Raises NotFound."""
        progress = self.progress(comparison)
        if not progress.ended or progress.state in ("running", "stopping"):
            return None
        return store.read_result(self._library.settings, comparison)

    def stop(self, comparison: str) -> Progress:
        """Stop one that is being made; its answers are kept. Raises NotFound."""
        with self._lock:
            if self._running == comparison:
                self._stop.set()
        return self.progress(comparison)

    def delete(self, comparison: str) -> bool:
        """Delete one, or stop it where it is being made: then False. Raises NotFound."""
        with self._lock:
            store.read_overview(self._library.settings, comparison)
            if self._running == comparison:
                self._stop.set()
                return False
            store.delete(self._library.settings, comparison)
            self._broken_off.pop(comparison, None)
            return True

    def wait(self, seconds: float) -> bool:
        """Whether none is being made any more, within so many seconds."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)
        return self._running is None

    def close(self, seconds: float) -> None:
        """Stop for good, and wait so long for it."""
        with self._lock:
            self._closed = True
            self._stop.set()
        self.wait(seconds)

    def _run(self, plan: Plan, overview: Overview) -> None:
        from rag.comparing.holding import beside
        from rag.comparing.job import do
        from rag.comparing.run import Stopped

        problem: str | None = None
        try:
            hold = beside(self._library)
            do(self._library, plan, overview, hold, self._tell, self._stop)
            log.info("The comparison %s has ended.", plan.id)
        except Stopped:
            problem = ""
            log.info("The comparison %s was stopped.", plan.id)
        except CloisterError as error:
            problem = str(error)
            log.warning("The comparison %s failed: %s", plan.id, error)
        except Exception:  # a thread's boundary
            problem = "It failed unexpectedly; see logs/server.log."
            log.exception("The comparison %s failed", plan.id)
        with self._lock:
            if problem is not None:
                self._broken_off[plan.id] = problem
            self._running = self._step = None

    def _tell(self, step: Step) -> None:
        self._step = step

    def _progress(self, overview: Overview) -> Progress:
        running, step = self._running == overview.id, self._step
        broken_off = overview.id in self._broken_off and not running
        problem = self._broken_off.get(overview.id, "") if broken_off else ""
        state: State = "failed" if problem else "stopped"
        if running:
            state = "stopping" if self._stop.is_set() else "running"
        elif overview.ended and not broken_off:
            state = "done"
        return Progress(
            id=overview.id,
            name=overview.name,
            models=overview.models,
            questions=overview.questions,
            begun=overview.begun,
            ended=overview.ended,
            state=state,
            done=step.done if running and step else overview.done,
            total=step.total if running and step else overview.total,
            stage=step.stage if running and step else "",
            model=step.model if running and step else "",
            seconds_left=step.seconds_left if running and step else None,
            problem=problem,
        )
