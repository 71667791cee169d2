"""The memory that a model is said to need, from its config.json alone, beside what it then takes.

Models of many architectures are made with random weights, each of at least 300 MB on the disk, and
each is loaded in a process of its own as `cloister serve` loads it. It then answers prompts of 600
tokens, some at once. On a processor the figures are the process's anonymous memory, looked at every
few milliseconds, less what it had before loading, and the weights that stay in the file they were
saved in, which the system maps into memory: where they are in the precision that was asked for,
they are not copied. On a GPU they are what torch has allocated there at most.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from _architectures import ARCHITECTURES, make_adapter, make_model
from _common import ROOT, Figure, Options, run_benchmark, say, scratch, write_between

from rag.errors import CloisterError
from rag.models.adapter import adapter_bytes
from rag.models.fit import Needed, needed
from rag.models.shape import read_config
from rag.settings import Settings

PAGE = ROOT / "docs" / "benchmarks.md"
_BEGIN, _END = "<!-- fit -->", "<!-- /fit -->"
_PROMPT, _NEW = 600, 24
_AT_ONCE = 2
_LOOK_SECONDS = 0.004
_MB = 1e6
_SMALLER = 8
# in the precision of the files too, where nothing is converted; slower on most processors
_UNCONVERTED = ("Llama, grouped", "Mixtral, 8 experts")
_ADAPTED = "Llama, grouped"


@dataclass(frozen=True, slots=True)
class Taken:
    """What a model took that was loaded and asked, in bytes, and its `config.json`."""

    name: str
    config: dict[str, Any]
    file: int
    at_once: int
    device: str
    place: str
    precision: str
    loading: int
    loaded: int
    answering: int
    kept: int
    seconds: float
    adapter: int = 0

    @property
    def need(self) -> Needed:
        """The estimate, from the configuration alone."""
        context = _PROMPT + _NEW
        return needed(
            self.config, self.precision, context, self.at_once, self.device, adapter=self.adapter
        )

    @property
    def ratio(self) -> float:
        """The estimate of the largest memory over the largest that was measured."""
        return self.need.most / max(self.loading, self.answering)


def measure(options: Options) -> Sequence[Figure]:
    """The figures of this benchmark."""
    names = list(ARCHITECTURES)[:2] if options.small else list(ARCHITECTURES)
    known = _known(options.kept)
    with scratch() as folder:
        for name in names:
            for row in _of(name, folder, _SMALLER if options.small else 1, known):
                known[row.name, row.precision] = row
                if options.kept:
                    with options.kept.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(asdict(row)) + "\n")
    rows = list(known.values())
    if options.write:
        write_between(PAGE, _BEGIN, _END, table(rows))
    worst = max(rows, key=lambda row: abs(row.ratio - 1))
    return [
        Figure(f"the estimate over what it takes, at worst ({worst.name})", worst.ratio, "×"),
        *(Figure(f"{row.name}, {row.precision}", row.ratio, "×") for row in rows),
    ]


def _known(kept: Path | None) -> dict[tuple[str, str], Taken]:
    if kept is None or not kept.is_file():
        return {}
    rows = [Taken(**json.loads(line)) for line in kept.read_text("utf-8").splitlines()]
    return {(row.name, row.precision): row for row in rows}


def _of(
    name: str, folder: Path, scale: int, known: Mapping[tuple[str, str], Taken]
) -> Iterator[Taken]:
    """What a model of an architecture takes; it is made for that, and deleted."""
    if any(name == one for one, _ in known):
        return
    path = folder / "model"
    make_model(ARCHITECTURES[name], path, scale)
    yield (first := _taken(name, path, "auto", _AT_ONCE))
    if name in _UNCONVERTED and first.precision != "bfloat16":
        yield _taken(name, path, "bfloat16", 1)
    if name == _ADAPTED:
        make_adapter(path, folder / "adapter")
        yield _taken(f"{name}, adapter", path, "auto", 1, folder / "adapter")
    for file in path.iterdir():
        file.unlink()


def table(rows: Sequence[Taken]) -> str:
    """The rows as a table in Markdown, below a line about what they were measured on."""
    import torch
    import transformers

    lines = [
        f"{datetime.now(UTC):%d %B %Y}, {rows[0].place}, torch {torch.__version__}, transformers "
        f"{transformers.__version__}; prompts of {_PROMPT} tokens and {_NEW} new ones; MB.",
        "",
        "| model | file | precision | at once | weights | cache | besides | estimate | loading "
        "took | answering took | estimate / taken |",
        f"| --- | ---: | --- | {' | '.join(['---:'] * 8)} |",
    ]
    for row in rows:
        need = row.need
        cache = need.cache + need.spare
        sizes = (need.weights, cache, need.overhead, need.most, row.loading, row.answering)
        lines.append(
            f"| {row.name} | {row.file / _MB:,.0f} | {row.precision} | {row.at_once} | "
            f"{' | '.join(f'{size / _MB:,.0f}' for size in sizes)} | {row.ratio:.2f} |"
        )
    return "\n".join(lines)


def _taken(
    name: str, path: Path, precision: str, at_once: int, adapter: Path | None = None
) -> Taken:
    """Load a model in a fresh process and ask it."""
    given = [str(path), precision, str(at_once), str(adapter or "")]
    done = subprocess.run(
        [sys.executable, str(Path(__file__).resolve()), "--load", *given],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CloisterError(f"{name} could not be measured:\n{done.stderr[-1500:]}")
    took: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    size = sum(file.stat().st_size for file in path.glob("*.safetensors"))
    more = adapter_bytes(path.parent, str(adapter or ""), path)
    row = Taken(
        name=name, config=read_config(path), file=size, at_once=at_once, adapter=more, **took
    )
    need = row.need
    say(
        f"{name}, {row.precision}: {row.ratio:.2f}; weights {need.weights / _MB:.0f}, cache "
        f"{(need.cache + need.spare) / _MB:.0f}, besides {need.overhead / _MB:.0f}, loading "
        f"{row.loading / _MB:.0f}, answering {row.answering / _MB:.0f} MB; {row.seconds} s"
    )
    return row


class _Watch:
    """The most memory that was in use since the last look; bytes beyond those at the start."""

    def __init__(self) -> None:
        self._least = self._most = _anonymous()
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while True:
            self._most = max(self._most, _anonymous())
            time.sleep(_LOOK_SECONDS)

    def most(self) -> int:
        """The most since this was asked last."""
        most, self._most = self._most - self._least, _anonymous()
        return most

    def now(self) -> int:
        """What is in use now."""
        return _anonymous() - self._least


class _GpuWatch:
    """The same of what torch has allocated on a GPU."""

    def most(self) -> int:
        """The most since this was asked last."""
        import torch

        most = torch.cuda.max_memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        return most

    def now(self) -> int:
        """What is in use now."""
        import torch

        return torch.cuda.memory_allocated()


def _child(folder: str, precision: str, at_once: str, adapter: str) -> None:
    """In a process of its own: load as the service does, answer, and print what that took."""
    import torch

    from rag.generation import load_generator
    from rag.models.device import pick_device
    from rag.models.fitting import precision_for

    path = Path(folder)
    place = pick_device("auto")
    settings = Settings(
        models=path.parent,
        llm_model=path.name,
        llm_adapter=adapter,
        llm_precision=precision,
        llm_concurrency=int(at_once),
        llm_max_prompt_tokens=_PROMPT,
        llm_max_new_tokens=_NEW,
    )
    import llama_index.core.llms  # noqa: F401 - what is there without a model, too

    torch.ones(64, 64) @ torch.ones(64, 64)
    chosen = precision_for(precision, place)
    watch = _GpuWatch() if place.startswith("cuda") else _Watch()
    started = time.monotonic()
    generator = load_generator(settings)
    if generator is None:
        raise CloisterError("No model was loaded.")
    loading, loaded = watch.most(), watch.now()
    mapped = 0 if place.startswith("cuda") else _mapped(path)

    def ask(number: int) -> None:
        given = {"max_new_tokens": _NEW, "min_new_tokens": _NEW}
        prompt = chr(ord("a") + number % 26) * _PROMPT
        with generator.generate(prompt, given, threading.Event()) as stream:
            for _ in stream:
                pass

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(int(at_once))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = {
        "device": place,
        "place": torch.cuda.get_device_name(place) if place != "cpu" else _processor(),
        "precision": chosen,
        "loading": loading + mapped,
        "loaded": loaded + mapped,
        "answering": watch.most() + mapped,
        "kept": watch.now() + mapped,
        "seconds": round(time.monotonic() - started, 1),
    }
    print(json.dumps(took))


def _processor() -> str:
    from _common import _processor as processor

    return processor()


def _anonymous() -> int:
    """The bytes of this process's memory that are of no file."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise CloisterError("This system does not tell a process's anonymous memory.")


def _mapped(folder: Path) -> int:
    """The bytes of the weights that are in the model's file, mapped into memory.

    What was written to since, as by an adapter, is a copy, and anonymous memory.
    """
    import torch

    places, copied, within = [], 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, _, size = line.partition(":")
        if name == "Anonymous":
            copied += int(size.split()[0]) * 1024 if within else 0
        elif "-" in line.split()[0]:
            within = line.endswith(".safetensors") and str(folder) in line
            if within:
                start, end = line.split()[0].split("-")
                places.append((int(start, 16), int(end, 16)))
    weights = {
        one.data_ptr(): one.numel() * one.element_size()
        for one in gc.get_objects()
        if issubclass(type(one), torch.nn.Parameter)  # what is weakly held cannot be asked
    }
    mapped = sum(
        size
        for address, size in weights.items()
        if any(start <= address < end for start, end in places)
    )
    return mapped - copied


if __name__ == "__main__":
    if sys.argv[1:2] == ["--load"]:
        _child(*sys.argv[2:])
    else:
        sys.exit(run_benchmark("fit", __doc__ or "", measure, page="docs/benchmarks.md"))
