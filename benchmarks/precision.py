"""The starter model in fewer bits: how near to float32, how fast, how large.

Texts are documents of `sample_docs/library`. Near is the share of places at which the likeliest
next token is float32's, and what a token's mean loss is more; fast is the time of a prompt and that
of a token after it, the median of rounds in which each precision has its turn, as ratios to
float32. Torch's own dynamic quantization, which also rounds what each layer is given, is beside
them for comparison; Cloister does not use it. int4 needs the extra `quantized`.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import torch
from _common import SAMPLES, Figure, Options, alternate, median_ratio, run_benchmark, say
from torch.nn import functional

from rag.models.folder import find_model
from rag.models.loading import INT4, INT8, load_causal
from rag.settings import load_settings

_TOKENS, _NEW = 256, 16
_FEW_TOKENS, _FEW_NEW = 48, 4
_FULL, _DYNAMIC = "float32", "torch's dynamic int8"


def measure(options: Options) -> list[Figure]:
    """Every precision that can be had here, beside float32."""
    settings = load_settings()
    folder = find_model(settings.models_path, settings.llm_model).path
    four = [INT4] if find_spec("bitsandbytes") else []
    models: dict[str, Any] = {}
    for name in [_FULL, "bfloat16", INT8, *four, _DYNAMIC]:
        loaded = load_causal(folder, "cpu", _FULL if name == _DYNAMIC else name)
        models[name] = loaded.model
    models[_DYNAMIC] = _dynamic(models[_DYNAMIC])
    texts, rounds = (1, 1) if options.small else (8, 3)
    length, new = (_FEW_TOKENS, _FEW_NEW) if options.small else (_TOKENS, _NEW)
    ids = _ids(loaded.tokenizer, texts, length)
    logits = {}
    for name, model in models.items():
        say(f"{name}: {len(ids)} texts of {length} tokens")
        logits[name] = _logits(model, ids)
    prompts = alternate(rounds, **{n: _generation(m, ids[0], 1) for n, m in models.items()})
    both = alternate(rounds, **{n: _generation(m, ids[0], 1 + new) for n, m in models.items()})
    tokens = {n: [b - p for b, p in zip(both[n], prompts[n], strict=True)] for n in models}
    figures = []
    for name, model in models.items():
        if name == _FULL:
            continue
        figures += [
            Figure(f"{name}: time of a prompt to float32's", _ratio(prompts, name), "×"),
            Figure(f"{name}: time of a token to float32's", _ratio(tokens, name), "×"),
            Figure(f"{name}: same next token as float32", _same(logits, name), "%"),
            Figure(f"{name}: loss of a token above float32's", _more_loss(logits, name, ids), ""),
        ]
        if size := _bytes(model):
            ratio = size / _bytes(models[_FULL])
            figures.append(Figure(f"{name}: bytes of weights to float32's", ratio, "×"))
    return figures


def _ratio(seconds: dict[str, list[float]], name: str) -> float:
    return median_ratio(seconds[name], seconds[_FULL])


def _same(logits: dict[str, torch.Tensor], name: str) -> float:
    same = logits[name].argmax(-1) == logits[_FULL].argmax(-1)
    return 100 * same.float().mean().item()


def _more_loss(logits: dict[str, torch.Tensor], name: str, ids: Sequence[torch.Tensor]) -> float:
    targets = torch.stack(list(ids))[:, 1:].flatten()
    losses = [
        functional.cross_entropy(logits[n][:, :-1].flatten(0, 1), targets).item()
        for n in (name, _FULL)
    ]
    return losses[0] - losses[1]


def _ids(tokenizer: Any, most: int, length: int) -> list[torch.Tensor]:
    """The first tokens of the first texts that are long enough."""
    found = []
    for path in sorted([*SAMPLES.rglob("*.md"), *SAMPLES.rglob("*.txt")]):
        ids = tokenizer(path.read_text("utf-8"), return_tensors="pt")["input_ids"][0]
        if len(ids) >= length:
            found.append(ids[:length])
    return found[:most]


@torch.no_grad()
def _logits(model: Any, ids: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.stack([model(one[None]).logits[0].float() for one in ids])


def _generation(model: Any, ids: torch.Tensor, count: int) -> Callable[[], object]:
    return lambda: model.generate(
        ids[None],
        attention_mask=torch.ones_like(ids[None]),
        max_new_tokens=count,
        min_new_tokens=count,
        do_sample=False,
    )


def _bytes(model: Any) -> int:
    """Bytes of weights and buffers; 0 where they are packed out of sight."""
    if any("quantized.dynamic" in type(m).__module__ for m in model.modules()):
        return 0
    seen = {t.data_ptr(): t.numel() * t.element_size() for t in _tensors(model)}
    return sum(seen.values())


def _tensors(model: Any) -> Sequence[torch.Tensor]:
    return [*model.parameters(), *model.buffers()]


def _dynamic(model: Any) -> Any:
    from torch.ao.quantization import per_channel_dynamic_qconfig, quantize_dynamic

    last = model.get_output_embeddings()
    layers = {
        name: per_channel_dynamic_qconfig
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not last
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return quantize_dynamic(model, layers, dtype=torch.qint8, inplace=True)


if __name__ == "__main__":
    sys.exit(run_benchmark("precision", __doc__ or "", measure))
