"""How soon an answer begins and ends, over the server's REST stream, on the sample library.

A real server runs in a child process, with one answer at a time. Clocked from sending the
question: the first event (the sources), the first token of the draft, the last event. Then a
question is left after its first token, and the model is free again when the server's processes
take no more processor time (from /proc, so on Linux only).
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from _common import (
    ROOT,
    SAMPLES,
    Figure,
    Options,
    bench_settings,
    command,
    environment,
    percentile,
    questions,
    run_benchmark,
    run_quietly,
    say,
    scratch,
)

from rag.errors import CloisterError
from rag.lock import find_holder
from rag.settings import Settings

_START_SECONDS = 180.0
_ANSWER_SECONDS = 300.0
# the server is idle when it took at most one tick (10 ms) of processor time for so long
_IDLE_SECONDS = 0.1
_LONG = {"min_new_tokens": 120, "max_new_tokens": 120}


@dataclass(frozen=True, slots=True)
class Answered:
    """Seconds from sending a question; `quote` and `token` None where there was none."""

    event: float
    quote: float | None
    token: float | None
    total: float
    abstained: bool


def measure(options: Options) -> Sequence[Figure]:
    """The figures of this benchmark."""
    texts = [row["question"] for row in questions()]
    count, rounds = (4, 1) if options.small else (40, 7)
    with scratch() as folder:
        settings = bench_settings(folder / "home")
        env = environment(settings, CLOISTER_LLM_CONCURRENCY="1")
        run_quietly(command("ingest", "sync", str(SAMPLES), "--wait"), env)
        say("the sample library is taken in")
        with serving(settings, env, folder / "server.log") as (address, pid):
            ask(address, texts[-1])
            answers = {text: ask(address, text) for text in texts[:count]}
            figures = _figures(list(answers.values()))
            drafted = [text for text, answer in answers.items() if answer.token is not None]
            return figures + (_cancelled(address, pid, drafted[0], rounds) if drafted else [])


@contextmanager
def serving(settings: Settings, env: dict[str, str], log: Path) -> Iterator[tuple[str, int]]:
    """A server on a free port, ready to answer; yields `host:port` and its process."""
    with log.open("wb") as output:
        child = subprocess.Popen(
            command("serve", "--port", "0"), cwd=ROOT, env=env, stdout=output, stderr=output
        )
    try:
        until = time.monotonic() + _START_SECONDS
        address = ""
        while not (address and _ready(address)):
            if child.poll() is not None or time.monotonic() > until:
                raise CloisterError(f"The server did not get ready:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)
            holder = find_holder(settings)
            address = urlsplit(holder.address).netloc if holder and holder.address else ""
        yield address, child.pid
    finally:
        child.terminate()
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def ask(address: str, question: str, parameters: dict[str, Any] | None = None) -> Answered:
    """Ask and take the whole stream. Raises CloisterError for an error event."""
    started = time.perf_counter()
    event = quote = token = None
    with asked(address, question, parameters) as events:
        for name, data in events:
            taken = time.perf_counter() - started
            event = taken if event is None else event
            if name == "evidence":
                quote = taken
            if name == "token" and token is None:
                token = taken
            if name == "done":
                return Answered(event, quote, token, taken, bool(data["abstained"]))
            if name == "error":
                raise CloisterError(f"The server could not answer: {data}")
    raise CloisterError("The server ended a stream before its last event.")


@contextmanager
def asked(
    address: str, question: str, parameters: dict[str, Any] | None = None
) -> Iterator[Iterator[tuple[str, Any]]]:
    """The events of a streamed answer; leaving the block closes the connection."""
    connection = http.client.HTTPConnection(address, timeout=_ANSWER_SECONDS)
    body = {"question": question, "stream": True, "parameters": parameters or {}}
    try:
        connection.request(
            "POST", "/api/v1/ask", json.dumps(body), {"Content-Type": "application/json"}
        )
        with connection.getresponse() as response:
            if response.status != 200:
                raise CloisterError(f"The server refused a question: {response.read()[:500]!r}")
            yield _events(response)
    finally:
        connection.close()


def _events(response: http.client.HTTPResponse) -> Iterator[tuple[str, Any]]:
    name = ""
    for raw in response:
        line = raw.decode("utf-8").rstrip("\n")
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def _ready(address: str) -> bool:
    """Whether every part of the server is. Raises CloisterError when one never will be."""
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", "/readyz")
        parts = json.load(connection.getresponse())["parts"]
    except OSError:
        return False
    finally:
        connection.close()
    wrong = [state for state in parts.values() if state not in ("ready", "loading")]
    if wrong:
        raise CloisterError(f"The server cannot answer: {wrong[0]}")
    return all(state == "ready" for state in parts.values())


def _figures(answers: Sequence[Answered]) -> list[Figure]:
    drafted = [answer for answer in answers if answer.token is not None]
    times = {
        "first event (sources)": [answer.event for answer in answers],
        "best quote": [answer.quote for answer in answers if answer.quote is not None],
        "first token": [answer.token for answer in drafted if answer.token is not None],
        "whole answer, with a draft": [answer.total for answer in drafted],
        "whole answer, every question": [answer.total for answer in answers],
    }
    figures = []
    if drafted:
        shares = [(a.token or 0.0) / a.total for a in drafted]
        figures.append(Figure("first token / whole answer, with a draft", median(shares), "×"))
        shares = [a.quote / a.total for a in drafted if a.quote is not None]
        figures.append(Figure("best quote / whole answer, with a draft", median(shares), "×"))
    for name, seconds in times.items():
        for share in (0.5, 0.95) if seconds else ():
            value = 1000 * percentile(seconds, share)
            figures.append(Figure(f"{name}, p{share * 100:.0f}", value, "ms"))
    return [
        *figures,
        Figure("questions asked", len(answers), "questions"),
        Figure("answers with a draft", len(drafted), "answers"),
        Figure("declined", sum(answer.abstained for answer in answers), "answers"),
    ]


def _cancelled(address: str, pid: int, question: str, rounds: int) -> list[Figure]:
    """From a client's disconnect to a free model; see the module's docstring."""
    waits, rests = [], []
    for _ in range(rounds):
        whole = ask(address, question, _LONG)
        rests.append(whole.total - (whole.token or 0.0))
        _idle_after(pid)
        with asked(address, question, _LONG) as events:
            next(name for name, _ in events if name == "token")
        waits.append(_idle_after(pid))
    return [
        Figure("from a client's disconnect to a free model, p50", 1000 * median(waits), "ms"),
        Figure("from a client's disconnect to a free model, worst", 1000 * max(waits), "ms"),
        Figure("the rest of that answer, had the client stayed, p50", 1000 * median(rests), "ms"),
    ]


def _idle_after(pid: int) -> float:
    """Wait until the process and its children are idle; returns the seconds until they were."""
    started = time.perf_counter()
    while True:
        before, begun = _ticks(pid), time.perf_counter()
        time.sleep(_IDLE_SECONDS)
        if _ticks(pid) - before <= 1:
            return begun - started


def _ticks(pid: int) -> int:
    """The processor time of a process and its children so far, in ticks."""
    place = Path(f"/proc/{pid}")
    try:
        fields = (place / "stat").read_text().rpartition(")")[2].split()
        children = (place / "task" / str(pid) / "children").read_text().split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12]) + sum(_ticks(int(child)) for child in children)


if __name__ == "__main__":
    sys.exit(run_benchmark("answer_latency", __doc__ or "", measure))
