"""A model is loaded only where it fits: refused before its weights are read, with what would fit.

Everything here is told of the settings: the precision, how many questions are answered at once,
how long prompt and answer are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rag.errors import ModelError
from rag.heap import give_back
from rag.models.adapter import adapter_bytes
from rag.models.fit import PRECISIONS, WIDTHS, Needed, longest, needed
from rag.models.folder import EMBEDDER, list_models, model_paths
from rag.models.hardware import Memory, empty_cuda, memory_for
from rag.models.quantized import loads, stored_bytes
from rag.models.shape import CONFIG, read_config, shape_of
from rag.settings import Settings, choices_of

Named = tuple[str, Mapping[str, Any]]

_LEAST_PROMPT = 256
_MOST_NAMED = 3
_GIGABYTE = 1e9
# transformers then reads one tensor after the other, so that what it puts together does not pile up
_ONE_BY_ONE = "HF_DEACTIVATE_ASYNC_LOAD"


@dataclass(frozen=True, slots=True)
class Use:
    """How a model is to be used: in which precision, on how many tokens, by how many at once.

    `cache_bytes` bounds its cache, 0 does not; `stored` and `adapter` are those of
    `rag.models.fit.needed`.
    """

    precision: str
    context: int
    concurrency: int
    cache_bytes: int = 0
    stored: int = 0
    adapter: int = 0

    def needed(self, config: Mapping[str, Any], memory: Memory) -> Needed:
        """The memory for a model that is used so. Raises ModelError, UsageError."""
        return needed(
            config,
            self.precision,
            self.context,
            self.concurrency,
            memory.device,
            cache_bytes=self.cache_bytes,
            stored=self.stored,
            adapter=self.adapter,
        )


@contextmanager
def loading(
    settings: Settings, others: Callable[[], Iterable[Named]] | None = None
) -> Iterator[None]:
    """Within this block the LLM of the settings may be loaded, if there is room for it.

    At its start nothing but the model's `config.json` is read; where no such folder is, nothing is
    said. `others` are further models that may be proposed, with their configurations, beside those
    in the models folder. At its end, what loading freed goes back to the system.
    Raises ModelError where the model does not fit or cannot be understood; `llm.check_fit` off
    leaves that to chance.
    """
    folder = _folder(settings)
    if folder is None or not settings.llm_check_fit:
        yield
    else:
        config = read_config(folder)
        with _one_by_one(bool(shape_of(config).fused)):
            empty_cuda()  # what torch holds in pieces is free, but may be too small for weights
            memory = memory_for(settings.llm_device)
            refuse_unfit(folder.name, config, settings, memory, others, folder)
            yield
    give_back()


def refuse_unfit(
    name: str,
    config: Mapping[str, Any],
    settings: Settings,
    memory: Memory,
    others: Callable[[], Iterable[Named]] | None = None,
    folder: Path | None = None,
) -> None:
    """Raises ModelError where a model needs more than is free, with what would fit instead.

    `folder` is the model's own, where it is here.
    """
    use = use_of(settings, config, memory, folder)
    need = use.needed(config, memory)
    if need.peak <= memory.free:
        return
    known = [*_here(settings.models_path), *(others() if others else ())]
    ways = [*_ways(use, config, settings, memory), *_models(name, need, known, use, memory)]
    would = f"What would fit: {'; or '.join(ways)}." if ways else "No smaller use of it would fit."
    raise ModelError(
        f"The model {name} needs {gigabytes(need.peak)} of {memory.name} in {use.precision} to "
        f"answer {use.concurrency} questions at once with {use.context:,} tokens each "
        f"({_parts(need)}), and {gigabytes(memory.free)} are free. {would} Others that "
        "fit: `cloister models list --fits`. Or free some memory; llm.check_fit false loads it "
        "nevertheless."
    )


def use_of(
    settings: Settings, config: Mapping[str, Any], memory: Memory, folder: Path | None = None
) -> Use:
    """How the settings would use a model: the longest prompt with its answer, within its window.

    `folder` is the model's own, where it is here.
    """
    window = shape_of(config).window
    most = settings.llm_max_prompt_tokens + settings.llm_max_new_tokens
    return Use(
        precision_for(settings.llm_precision, memory.device),
        min(most, window) if window else most,
        settings.llm_concurrency,
        settings.llm_cache_mb * 2**20,
        stored_bytes(folder) if folder else 0,
        adapter_bytes(settings.models_path, settings.llm_adapter, folder) if folder else 0,
    )


def precision_for(wanted: str, device: str) -> str:
    """The precision that `llm.precision` comes to on a device. Raises UsageError."""
    if wanted in WIDTHS:
        return wanted
    from rag.models.device import pick_precision

    return str(pick_precision(wanted, device)).removeprefix("torch.")


def gigabytes(size: int) -> str:
    """A number of bytes to read."""
    return f"{size / _GIGABYTE:,.1f} GB" if size >= 0.1 * _GIGABYTE else f"{size / 1e6:,.0f} MB"


def _folder(settings: Settings) -> Path | None:
    """The model's folder, where it has a configuration; whatever else is wrong is told later."""
    name = settings.llm_model
    paths = model_paths(settings.models_path, name) if name.strip(". @") else ()
    return next((path for path in paths if (path / CONFIG).is_file()), None)


@contextmanager
def _one_by_one(wanted: bool) -> Iterator[None]:
    before = os.environ.get(_ONE_BY_ONE)
    if not wanted or before is not None:
        yield
        return
    os.environ[_ONE_BY_ONE] = "1"
    try:
        yield
    finally:
        os.environ.pop(_ONE_BY_ONE, None)


def _parts(need: Needed) -> str:
    if need.loading > need.total:
        return f"while it is loaded; its weights are {gigabytes(need.weights)}"
    return (
        f"weights {gigabytes(need.weights)}, attention cache {gigabytes(need.cache)}, besides "
        f"{gigabytes(need.overhead)}"
    )


def _ways(use: Use, config: Mapping[str, Any], settings: Settings, memory: Memory) -> Iterator[str]:
    """Uses of the same model that fit; where no change alone will do, a few changes together."""
    found = False
    for text, changed in _changes(use, config, settings, memory):
        if changed.needed(config, memory).peak <= memory.free:
            found = True
            yield text
    if found:
        return
    context = min(use.context, _LEAST_PROMPT + settings.llm_max_new_tokens)
    for precision in _smaller(use.precision, config, memory.device):
        least = replace(use, precision=precision, context=context, concurrency=1)
        if least.needed(config, memory).peak <= memory.free:
            yield (
                f"set llm.precision to {precision}, llm.concurrency to 1 and "
                f"llm.max_prompt_tokens to {_LEAST_PROMPT}"
            )
            return


def _changes(
    use: Use, config: Mapping[str, Any], settings: Settings, memory: Memory
) -> Iterator[tuple[str, Use]]:
    """Each a setting to change, and the use that comes of it; the mildest that fits of a kind."""
    for precision in _smaller(use.precision, config, memory.device):
        smaller = replace(use, precision=precision)
        if smaller.needed(config, memory).peak <= memory.free:
            yield f"set llm.precision to {precision}", smaller
            break
    fewer = range(use.concurrency - 1, 0, -1)
    for number in fewer if use.concurrency <= 64 else (use.concurrency // 2, 8, 1):
        one = replace(use, concurrency=number)
        if one.needed(config, memory).peak <= memory.free:
            yield f"set llm.concurrency to {number}", one
            break
    tokens = longest(
        config,
        use.precision,
        use.concurrency,
        memory.device,
        memory.free,
        use.context,
        cache_bytes=use.cache_bytes,
        stored=use.stored,
        adapter=use.adapter,
    )
    prompt = (tokens - settings.llm_max_new_tokens) // 64 * 64
    if prompt >= _LEAST_PROMPT:
        shorter = replace(use, context=prompt + settings.llm_max_new_tokens)
        yield f"set llm.max_prompt_tokens to {prompt}", shorter


def _smaller(precision: str, config: Mapping[str, Any], device: str) -> list[str]:
    """Precisions with smaller numbers that the settings know and that load here, nearest first."""
    known = [name for name in PRECISIONS if name in choices_of("llm_precision")]
    smaller = [name for name in known if WIDTHS[name] < WIDTHS[precision]]
    return [name for name in smaller if loads(name, device, config)]


def _models(
    name: str, need: Needed, known: Iterable[Named], use: Use, memory: Memory
) -> Iterator[str]:
    """The largest other models that fit as they are to be used, as one way."""
    sized = []
    for other, config in known:
        try:
            sized.append((shape_of(config).parameters, other, config))
        except ModelError:
            continue
    fitting: list[str] = []
    use = replace(use, stored=0, adapter=0)
    for parameters, other, config in sorted(sized, key=lambda row: (-row[0], row[1])):
        smaller = other != name and other not in fitting and parameters < need.parameters
        if smaller and use.needed(config, memory).peak <= memory.free:
            fitting.append(other)
        if len(fitting) == _MOST_NAMED:
            break
    if fitting:
        yield f"set llm.model to {', '.join(fitting)}"


def _here(models_path: Path) -> Iterator[Named]:
    """The LLMs in the models folder with their configurations; what is damaged is left out."""
    for folder in list_models(models_path, lambda _: None):
        if folder.task != EMBEDDER:
            try:
                yield folder.name, read_config(folder.path)
            except ModelError:
                continue
