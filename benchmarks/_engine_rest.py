"""The engine over REST: the real application, asked by several clients, beside the engine alone.

The application runs in this process on a port of its own. Clients ask different questions at once,
streamed. Then the engine writes the same prompts, as many tokens each, without the application.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from _common import (
    SAMPLES,
    Figure,
    bench_settings,
    command,
    environment,
    questions,
    run_quietly,
    say,
    scratch,
)

from rag.errors import CloisterError
from rag.generation import Generator
from rag.library import Library

_NEW, _PROMPT = 64, 600
# the longest wait for the passages of all questions
_GATHER_SECONDS = 120.0


@dataclass(slots=True)
class _Noted:
    """What one answer asked of the LLM, and when it began and ended, by the clock."""

    prompt: str
    parameters: dict[str, Any]
    begun: float = 0.0
    ended: float = 0.0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """Seconds that all answers took, with their passages and from the first prompt on.

    `spent` are seconds of processor time.
    """

    noted: Sequence[_Noted]
    whole: float
    spent: float

    @property
    def writing(self) -> float:
        return max(one.ended for one in self.noted) - min(one.begun for one in self.noted)

    @property
    def tokens(self) -> int:
        return sum(one.tokens for one in self.noted)


def measure(clients: int) -> list[Figure]:
    """New tokens a second over REST and by the engine alone, and their ratio."""
    with scratch() as folder:
        settings = bench_settings(
            folder / "home",
            llm_concurrency=clients,
            llm_queue=4 * clients,
            llm_max_prompt_tokens=_PROMPT,
            answer_threshold=0.0,
        )
        run_quietly(command("ingest", "sync", str(SAMPLES), "--wait"), environment(settings))
        library = Library(settings)
        try:
            library.load()
            seat = library.current_llm.seat
            generator = seat.generator if seat else None
            if generator is None:
                raise CloisterError("The settings name no LLM.")
            return _measured(library, generator, clients)
        finally:
            library.close()


def _measured(library: Library, generator: Generator, clients: int) -> list[Figure]:
    from answer_latency import ask

    texts = [row["question"] for row in questions()][:clients]
    with _served(library) as address:
        ask(address, texts[0], {"max_new_tokens": 1})
        given = _asked(address, texts, generator, gathered=False)
        _forget(generator)
        gathered = _asked(address, texts, generator, gathered=True)
    figures = []
    for asked, what, seconds in (
        (gathered, "all passages found", gathered.writing),
        (given, "finding passages included", given.whole),
    ):
        _forget(generator)
        alone, own = _alone(generator, asked.noted)
        say(
            f"{len(asked.noted)} of {len(texts)} questions asked the LLM, {what}: "
            f"{seconds:.1f} s over REST, {alone:.1f} s by the engine"
        )
        figures += [
            Figure(f"tokens/s over REST, {what} / engine alone", alone / seconds, "×"),
            Figure(f"over REST, {what}", asked.tokens / seconds, "tokens/s"),
            Figure(f"engine alone on their prompts, {what}", asked.tokens / alone, "tokens/s"),
        ]
    processor = own / given.spent
    return [
        *figures,
        Figure("tokens for a second of the processor, finding included / engine", processor, "×"),
        Figure("answers that the LLM wrote", len(given.noted), "answers"),
    ]


def _asked(address: str, texts: Sequence[str], generator: Generator, gathered: bool) -> _Asked:
    """Ask all at once; where `gathered`, no prompt is read before all have their passages."""
    from answer_latency import ask

    parameters = {"min_new_tokens": _NEW, "max_new_tokens": _NEW}
    noted: list[_Noted] = []
    with _noting(generator, noted, threading.Barrier(len(texts)) if gathered else None):
        started, spent = time.perf_counter(), time.process_time()
        _together([lambda text=text: ask(address, text, parameters) for text in texts])
        whole = time.perf_counter() - started
        return _Asked(noted, whole, time.process_time() - spent)


def _alone(generator: Generator, noted: Sequence[_Noted]) -> tuple[float, float]:
    """The seconds that the engine takes for the same prompts and tokens, begun as they were.

    By the clock, and of the processor.
    """
    first = min(one.begun for one in noted)
    started, spent = time.perf_counter(), time.process_time()

    def write(one: _Noted) -> None:
        time.sleep(max(0.0, one.begun - first - (time.perf_counter() - started)))
        given = one.parameters | {"min_new_tokens": one.tokens, "max_new_tokens": one.tokens}
        with generator.generate(one.prompt, given, threading.Event()) as deltas:
            for _ in deltas:
                pass

    _together([lambda one=one: write(one) for one in noted if one.tokens])
    return time.perf_counter() - started, time.process_time() - spent


def _forget(generator: Generator) -> None:
    """Let the engine read the prompts anew."""
    loop = getattr(generator._llm, "_writer").loop  # noqa: B009 - private to the engine
    if loop is not None:
        loop._heads.clear()


@contextmanager
def _noting(
    generator: Generator, noted: list[_Noted], all_there: threading.Barrier | None
) -> Iterator[None]:
    work = generator.generate

    @contextmanager
    def generate(prompt: str, parameters: Any, *others: Any) -> Iterator[Any]:
        if all_there is not None:
            all_there.wait(_GATHER_SECONDS)
        one = _Noted(prompt, dict(parameters), begun=time.perf_counter())
        noted.append(one)

        def counted(deltas: Any) -> Iterator[Any]:
            for delta in deltas:
                one.tokens = delta.tokens
                yield delta

        with work(prompt, parameters, *others) as deltas:
            yield counted(deltas)
        one.ended = time.perf_counter()

    generator.generate = generate  # type: ignore[method-assign]
    yield
    generator.generate = work  # type: ignore[method-assign]


@contextmanager
def _served(library: Library) -> Iterator[str]:
    from werkzeug.serving import make_server

    from web.app import create_app
    from web.served import served_by

    app = create_app(library)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        served_by(app).stop_answers(5)
        server.shutdown()
        thread.join()
        server.server_close()


def _together(works: Sequence[Any]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
