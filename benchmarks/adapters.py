"""What an adapter costs beside its base's weights, against one that is merged into them.

A LoRA adapter of rank 16 over all linear layers of the starter LLM, with random numbers, is loaded
both ways and, as a third, not at all. In each round each way reads the same prompt and writes the
same number of tokens; ratios are the medians of the rounds, of processor time, which other programs
on the machine change less than the clock's. Memory is that of the tensors which no other model has.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from _common import Figure, Options, bench_settings, median_ratio, run_benchmark, say, scratch

from rag.generation import Generator, load_beside, load_generator
from rag.models.adapter import (
    FORCED,
    AdapterRecord,
    hash_adapter,
    quiet_peft,
    weights_fingerprint,
    write_record,
)
from rag.models.folder import find_model
from rag.settings import Settings

_WAYS = ("base", "merged", "beside")
MODEL, RANK = "SmolLM2-135M-Instruct", 16


@dataclass(frozen=True, slots=True)
class Work:
    """Words of a prompt, tokens that are written, how many at once."""

    words: int
    new: int
    rows: int = 1


_WORKS = {
    "a token": Work(8, 24),
    "reading a prompt of 100 words": Work(100, 1),
    "a token of 8 answers at once": Work(8, 8, 8),
}


def measure(options: Options) -> Sequence[Figure]:
    """The figures of this benchmark."""
    rounds = 1 if options.small else 3
    with scratch() as folder:
        settings = _settings(folder)
        for name in ("one", "two"):
            _make_adapter(settings, name)
        ways = _loaded(settings)
        figures, times = _memory(ways), []
        for figure in figures:
            say(f"{figure.name}: {figure.value:.4g} {figure.unit}")
        for name, work in _WORKS.items():
            say(name)
            work = replace(work, new=min(work.new, 4)) if options.small else work
            spent: dict[str, list[float]] = {way: [] for way in _WAYS}
            for number in range(rounds + 1):
                for way in _WAYS:
                    seconds = _seconds(ways[way], work, number)
                    if number:  # the first round warms up
                        spent[way].append(seconds)
            for way, all_ in spent.items():
                say(f"{name}, {way}: {', '.join(f'{one:.2f} s' for one in all_)}")
            for below in ("merged", "base"):
                ratio = median_ratio(spent["beside"], spent[below])
                what = "merged" if below == "merged" else "the base without one"
                figures.append(Figure(f"{name}: beside / {what}", ratio, "×"))
            if work.rows == 1:
                each = statistics.median(spent["beside"]) / work.new * 1000
                times.append(Figure(f"{name}, beside, processor time", each, "ms"))
        figures += times
    return figures


def _settings(folder: Path) -> Settings:
    """Settings over a models folder that has the starter LLM by a link."""
    settings = bench_settings(folder, llm_check_fit=False)
    models = folder / "models"
    models.mkdir()
    (models / MODEL).symlink_to(find_model(settings.models_path, MODEL).path.resolve())
    return replace(settings, models=models, llm_model=MODEL, llm_adapter="")


def _make_adapter(settings: Settings, name: str) -> None:
    """An adapter with random numbers, small enough that the text stays one."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = find_model(settings.models_path, MODEL)
    torch.manual_seed(len(name) + ord(name[0]))
    config = LoraConfig(r=RANK, lora_alpha=RANK, target_modules="all-linear")
    path = settings.models_path / name
    with quiet_peft():
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(base.path), config)
        for key, weight in model.named_parameters():
            if "lora_B" in key:
                torch.nn.init.normal_(weight, std=0.01)
        model.save_pretrained(path)
    record = AdapterRecord(
        base.name, base.revision, weights_fingerprint(base), FORCED, "", hash_adapter(path)
    )
    write_record(path, record)


def _loaded(settings: Settings) -> dict[str, Generator]:
    base = load_generator(settings)
    merged = load_generator(replace(settings, llm_adapter="one"))
    assert base is not None
    assert merged is not None
    return {
        "base": base,
        "merged": merged,
        "beside": load_beside(replace(settings, llm_adapter="one"), base),
        "second": load_beside(replace(settings, llm_adapter="two"), base),
    }


def _seconds(generator: Generator, work: Work, seed: int) -> float:
    """The processor time of a work."""

    def write(row: int) -> None:
        prompt = " ".join(f"word{(seed + 1) * (row + 7) * n % 997}" for n in range(work.words))
        tokens = {"max_new_tokens": work.new, "min_new_tokens": work.new}
        with generator.generate(prompt, tokens, threading.Event(), str(row)) as stream:
            for _ in stream:
                pass

    threads = [threading.Thread(target=write, args=(row,)) for row in range(work.rows)]
    started = time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.process_time() - started


def _memory(ways: dict[str, Generator]) -> list[Figure]:
    """The tensors that the second adapter has for itself, beside those of the base."""
    base = _tensors(ways["base"])
    seen = base | _tensors(ways["beside"])
    own = {place: size for place, size in _tensors(ways["second"]).items() if place not in seen}
    share = sum(own.values()) / sum(base.values())
    return [
        Figure("a second adapter's memory / the base's", share, "×"),
        Figure("a second adapter's memory", sum(own.values()) / 1e6, "MB"),
    ]


def _tensors(generator: Generator) -> dict[int, int]:
    """Where each tensor's memory lies, and how many bytes it is."""
    llm: Any = generator.llm
    parts = (*llm._model.parameters(), *llm._model.buffers())
    return {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in parts}


if __name__ == "__main__":
    sys.exit(run_benchmark("adapters", __doc__ or "", measure))
