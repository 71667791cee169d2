"""The in-process engine beside transformers' own `generate`, with 1, 4, 8 and 16 requests at once.

Each request has 600 prompt tokens of its own, none in common with another's, and 64 new tokens,
neither more nor less. In each round the same prompts are written one after another by plain
`model.generate`, all at once by `generate` of the whole batch (static batching, which cannot let
one join or leave), and by the engine; times count from the moment at which all are there.

    .venv/bin/python benchmarks/engine.py --write
    .venv/bin/python benchmarks/engine.py --rest
    .venv/bin/python benchmarks/engine.py --random-billions 8 --write

`--rest` asks the running web application instead, and compares with the engine on the same prompts.
`--random-billions` makes a model of Llama's shape with random weights on the device, in bfloat16 on
a GPU, and tells how near its decoding is to what the device's memory allows.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from _common import (
    ROOT,
    Figure,
    _machine,
    _processor,
    bench_settings,
    percentile,
    say,
    scratch,
    shown,
    write_between,
)

from rag.models.threads import all_cores, one_core_each, with_all_cores

PAGE = ROOT / "docs" / "benchmarks.md"
PROMPT, NEW = 600, 64
COUNTS, ROUNDS = (1, 4, 8, 16), 3
_WAYS = ("one after another", "static batch", "engine")


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds until the first token of each request, and until the last one of all.

    `spent` are the seconds of processor time that the process took, which other programs on the
    machine change less than the clock's.
    """

    first: list[float]
    total: float
    spent: float = 0.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """Tokens of a prompt and of what is written; how many requests at once, each so often."""

    prompt: int = PROMPT
    new: int = NEW
    counts: tuple[int, ...] = COUNTS
    rounds: int = ROUNDS


class Bench:
    """A model with its engine, and the three ways of writing."""

    def __init__(self, model: Any, tokenizer: Any, rows: int, sizes: Sizes) -> None:
        from rag.models.writer import Writer

        self.model = model
        self.tokenizer = tokenizer
        self.sizes = sizes
        self.vocabulary = int(model.config.vocab_size)
        cache = None
        if model.device.type == "cpu":
            cache = rows * (sizes.prompt + sizes.new + 256) * token_bytes(model.config) * 2
        self.rows, self.cache_bytes = rows, cache
        # as the service has it, which takes the memory of so many questions and no more
        make = partial(Writer, model, rows, cache, question_tokens=sizes.prompt + sizes.new)
        started = time.perf_counter()
        self.writer = with_all_cores(make)
        say(f"the engine is ready after {time.perf_counter() - started:.1f} s")

    def prompts(self, count: int, seed: int) -> list[list[int]]:
        """Prompts that differ from their first token on."""
        drawn = random.Random(seed)
        words = range(min(100, self.vocabulary // 4), self.vocabulary)  # no special tokens
        firsts = drawn.sample(words, count)
        return [[first, *drawn.choices(words, k=self.sizes.prompt - 1)] for first in firsts]

    def run(self, way: str, prompts: Sequence[list[int]]) -> Run:
        """Write all prompts in a way of `_WAYS`."""
        spent = time.process_time()
        run = self.engine(prompts) if way == "engine" else self._plain(way, prompts)
        return replace(run, spent=time.process_time() - spent)

    def _plain(self, way: str, prompts: Sequence[list[int]]) -> Run:
        """In a thread of its own with all cores, as the engine computes."""
        runs: list[Run] = []

        def work() -> None:
            all_cores()
            runs.append(self._generated(way, prompts))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return runs[0]

    def _generated(self, way: str, prompts: Sequence[list[int]]) -> Run:
        started = time.perf_counter()
        batches = [[prompt] for prompt in prompts] if way == "one after another" else [prompts]
        first: list[float] = []
        for batch in batches:
            noted = _FirstToken()
            self._generate(batch, noted)
            first += [noted.at - started] * len(batch)
        return Run(first, time.perf_counter() - started)

    def _generate(self, batch: Sequence[list[int]], noted: _FirstToken) -> None:
        import torch

        ids = torch.tensor(list(batch), device=self.model.device)
        self.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            temperature=None,
            top_k=None,
            top_p=None,
            min_new_tokens=self.sizes.new,
            max_new_tokens=self.sizes.new,
            pad_token_id=0,
            stopping_criteria=[noted],
        )

    def engine(self, prompts: Sequence[list[int]]) -> Run:
        """Write all prompts in the engine, each read by a thread as an answer's is."""
        stamps = self.stamps(prompts, self.sizes.new)
        return Run([times[0] for times in stamps], max(times[-1] for times in stamps))

    def stamps(self, prompts: Sequence[list[int]], new: int) -> list[list[float]]:
        """When each token of each request came, in seconds from the moment all were asked."""
        from rag.models.batch.request import Request
        from rag.models.batch.sampling import Sampler
        from rag.models.wording import Wording

        given = {"min_new_tokens": new, "max_new_tokens": new}
        stamps: list[list[float]] = [[] for _ in prompts]
        started = time.perf_counter()

        def read(number: int, request: Request) -> None:
            wording = Wording(self.tokenizer) if self.tokenizer else None
            for token in request.tokens():
                if wording:
                    wording.add(token)
                stamps[number].append(time.perf_counter() - started)

        threads = []
        for number, ids in enumerate(prompts):
            request = Request(ids, Sampler(self.model, given, ids), None)
            self.writer.submit(request)
            threads.append(threading.Thread(target=read, args=(number, request)))
            threads[-1].start()
        for thread in threads:
            thread.join()
        if not all(len(times) == new for times in stamps):
            raise SystemExit("The engine did not write all tokens.")
        return stamps


class _FirstToken:
    """Transformers' stopping criterion that stops nothing, and notes when the first token came."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        import torch

        self.at = self.at or time.perf_counter()
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)


def token_bytes(config: Any) -> int:
    """The bytes of keys and values of a token, by the configuration, in float32."""
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * 4 * config.num_hidden_layers * heads * size)


def compare(bench: Bench) -> list[Figure]:
    """The three ways beside each other for each number of requests."""
    bench.run("engine", bench.prompts(1, 0))
    figures = []
    for count in bench.sizes.counts:
        runs: dict[str, list[Run]] = {way: [] for way in _WAYS}
        for number in range(bench.sizes.rounds):
            prompts = bench.prompts(count, 100 * count + number)
            for way in _WAYS:
                runs[way].append(bench.run(way, prompts))
                run = runs[way][-1]
                say(
                    f"{count} at once, {way}: {run.total:.1f} s, {run.spent:.1f} s of the processor"
                )
        figures += _compared(count, runs, bench.sizes.new)
    return figures


def _compared(count: int, runs: dict[str, list[Run]], new: int) -> list[Figure]:
    own = runs["engine"]

    def ratio(way: str, of: Callable[[Run], float]) -> float:
        pairs = zip(own, runs[way], strict=True)
        return statistics.median(of(mine) / of(other) for mine, other in pairs)

    def rate(run: Run) -> float:
        return count * new / run.total

    at = f"{count} at once"
    figures = [Figure(f"{at}: tokens/s, engine / {w}", ratio(w, rate), "×") for w in _WAYS[:2]]
    if all(run.spent for run in own):
        for way in _WAYS[:2]:
            name = f"{at}: tokens for a second of the processor, engine / {way}"
            figures.append(Figure(name, 1 / ratio(way, lambda run: run.spent), "×"))
    for way in _WAYS[:2]:
        name = f"{at}: first token p95, engine / {way}"
        figures.append(Figure(name, ratio(way, lambda run: percentile(run.first, 0.95)), "×"))
    for way in _WAYS:
        figures.append(Figure(f"{at}: {way}", statistics.median(map(rate, runs[way])), "tokens/s"))
        first = sorted(seconds for run in runs[way] for seconds in run.first)
        for share in (0.5, 0.95):
            name = f"{at}: {way}, first token p{share * 100:.0f}"
            figures.append(Figure(name, percentile(first, share), "s"))
    return figures


def starter(sizes: Sizes) -> Bench:
    """The starter LLM of the settings, in the precision and on the device of the settings."""
    from rag.models.engine import LocalLLM
    from rag.models.folder import find_model

    with scratch() as folder:
        settings = bench_settings(folder)
        path = find_model(settings.models_path, settings.llm_model).path
    llm = LocalLLM(path, settings.llm_device, settings.llm_precision, rows=1)
    return Bench(llm._model, llm._tokenizer, max(sizes.counts), sizes)


def table(figures: Sequence[Figure], note: str) -> str:
    """The figures in Markdown below a line about the machine."""
    import torch
    import transformers

    place = torch.cuda.get_device_name() if torch.cuda.is_available() else _processor()
    rows = [f"| {figure.name} | {shown(figure.value, figure.unit)} |" for figure in figures]
    today = datetime.date.today().strftime("%-d %B %Y")
    about = (
        f"{note} Of {today}, {place}, {len(os.sched_getaffinity(0))} threads of it, load "
        f"{os.getloadavg()[1]:.1f}, torch {torch.__version__}, "
        f"transformers {transformers.__version__}."
    )
    return "\n".join([about, "", "| what | figure |", "| --- | ---: |", *rows])


def main() -> int:
    """Read the options, measure, print or write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON line instead")
    parser.add_argument("--small", action="store_true", help="tiny sizes: does it work at all?")
    parser.add_argument("--rest", action="store_true", help="over the web application")
    parser.add_argument("--random-billions", type=float, help="weights of a random model")
    parser.add_argument(
        "--counts", type=int, nargs="+", default=COUNTS, help="requests at once (1 4 8 16)"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="so often (default %(default)s)")
    parser.add_argument("--write", action="store_true", help="put it into docs/benchmarks.md")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    one_core_each()  # as in the service
    if options.rest:
        from _engine_rest import measure

        clients = 4 if options.small else 8
        mark, figures = "engine rest", measure(clients)
        note = f"Questions over the sample library, streamed, {clients} at once."
    elif options.random_billions:
        from _engine_bound import bounded
        from _random_llama import random_llama

        tiny = options.small or options.random_billions < 1
        sizes = Sizes(60, 32) if tiny else Sizes(PROMPT, 256)
        counts = (1, 4, 8) if tiny else (1, 32, 64)
        model = random_llama(options.random_billions)
        bench = Bench(model, None, max(counts), sizes)
        weights = sum(p.numel() for p in model.parameters())
        mark, figures = "engine gpu", bounded(bench, counts)
        note = f"A model of Llama's shape with {weights:,} random weights in {model.dtype}."
    else:
        whole = Sizes(counts=tuple(options.counts), rounds=options.rounds)
        sizes = Sizes(60, 8, (1, 3), 1) if options.small else whole
        mark, figures = "engine", compare(starter(sizes))
        note = f"SmolLM2-135M-Instruct, the median of {sizes.rounds} rounds."
    if options.json:
        record = {
            "benchmark": mark.replace(" ", "_"),
            "small": options.small,
            "machine": _machine(load),
            "figures": [{"name": f.name, "value": f.value, "unit": f.unit} for f in figures],
        }
        print(json.dumps(record, ensure_ascii=False))
        return 0
    text = table(figures, note)
    if options.write:
        write_between(Path(PAGE), f"<!-- {mark} -->", f"<!-- /{mark} -->", text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
