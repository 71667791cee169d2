"""A model that does not fit is refused before its weights are read, with what would fit."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import rag.models.fitting as fitting
from rag.errors import ModelError, UsageError
from rag.generation import load_generator
from rag.models import hardware, quantized
from rag.models.adapter import WEIGHTS
from rag.models.fit import Needed, longest, needed
from rag.models.fitting import loading, refuse_unfit, use_of
from rag.models.hardware import Memory, may_have_gpu, memory_for
from rag.models.writer import Writer
from rag.settings import Settings
from tests.rag.models.tiny_models import tiny

_LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "max_position_embeddings": 4096,
}
_SMALL = {**_LLAMA, "hidden_size": 512, "intermediate_size": 1024, "num_hidden_layers": 4}
_GB = 10**9


def model(models: Path, name: str, config: Mapping[str, Any]) -> Path:
    folder = models / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(b"never read")
    return folder


def memory(free: float) -> Memory:
    return Memory("cpu", "RAM", int(free * _GB))


def message(free: float, settings: Settings, others: Any = None) -> str:
    with pytest.raises(ModelError) as raised:
        refuse_unfit("big", _LLAMA, settings, memory(free), others)
    return str(raised.value)


def test_what_fits_is_not_refused(tmp_path: Path) -> None:
    settings = Settings(models=tmp_path, llm_precision="bfloat16")
    need = use_of(settings, _LLAMA, memory(1)).needed(_LLAMA, memory(1))
    refuse_unfit("big", _LLAMA, settings, Memory("cpu", "RAM", need.peak))
    with pytest.raises(ModelError):
        refuse_unfit("big", _LLAMA, settings, Memory("cpu", "RAM", need.peak - 1))


def test_the_refusal_says_what_is_needed_and_what_there_is(tmp_path: Path) -> None:
    said = message(4, Settings(models=tmp_path, llm_precision="float32"))
    assert "The model big needs 43.9 GB" in said
    assert "of RAM in float32 to answer 8 questions at once with 1,664 tokens each" in said
    assert "weights 27.0 GB" in said
    assert "4.0 GB are free" in said
    assert "No smaller use of it would fit." in said
    assert "llm.check_fit false" in said


def test_each_proposal_fits(tmp_path: Path) -> None:
    settings = Settings(models=tmp_path, llm_precision="float32", llm_concurrency=8)
    free = 32
    said = message(free, settings)
    assert "set llm.precision to bfloat16" in said
    assert re.search(r"llm\.precision to \w+", said)[0].endswith("bfloat16")  # type: ignore[index]
    number = int(re.search(r"set llm\.concurrency to (\d+)", said)[1])  # type: ignore[index]
    prompt = int(re.search(r"set llm\.max_prompt_tokens to (\d+)", said)[1])  # type: ignore[index]
    for changed in (
        replace(settings, llm_precision="bfloat16"),
        replace(settings, llm_concurrency=number),
        replace(settings, llm_max_prompt_tokens=prompt),
    ):
        refuse_unfit("big", _LLAMA, changed, memory(free))
    with pytest.raises(ModelError):
        refuse_unfit("big", _LLAMA, replace(settings, llm_concurrency=number + 1), memory(free))


def test_where_one_change_is_too_little_several_are_proposed(tmp_path: Path) -> None:
    settings = Settings(models=tmp_path, llm_precision="float32", llm_concurrency=32)
    said = message(15, settings)
    assert "llm.precision to bfloat16, llm.concurrency to 1 and llm.max_prompt_tokens" in said


def test_only_a_precision_that_loads_here_is_proposed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(models=tmp_path, llm_precision="bfloat16", llm_concurrency=1)
    for there in (None, object()):
        monkeypatch.setattr(quantized, "find_spec", lambda _, there=there: there)
        said = message(9, settings)
        assert "llm.precision to int8" not in said  # all is loaded before it is packed
        assert ("llm.precision to int4" in said) is (there is not None)
    packed = {**_LLAMA, "quantization_config": {"quant_method": "gptq", "bits": 8}}
    with pytest.raises(ModelError) as raised:
        refuse_unfit("big", packed, settings, memory(6))
    assert "llm.precision to" not in str(raised.value)


def test_weights_that_their_makers_packed(tmp_path: Path) -> None:
    settings = Settings(models=tmp_path, llm_precision="bfloat16")
    plain = use_of(settings, _LLAMA, memory(1)).needed(_LLAMA, memory(1)).weights

    def weights(given: Mapping[str, Any], folder: Path | None = None) -> int:
        config = {**_LLAMA, "quantization_config": given}
        return use_of(settings, config, memory(1), folder).needed(config, memory(1)).weights

    for given in (
        {"quant_method": "gptq", "bits": 4, "group_size": 128},
        {"quant_method": "bitsandbytes", "load_in_4bit": True},
        {"quant_method": "compressed-tensors", "config_groups": {"0": {"w": {"num_bits": 4}}}},
    ):
        assert 0.25 * plain < weights(given) < 0.35 * plain
    assert 0.5 * plain < weights({"quant_method": "fp8"}) < 0.6 * plain
    assert weights({"quant_method": "mxfp4"}) == weights({"quant_method": "new"}) == plain
    folder = model(tmp_path, "packed", _LLAMA)
    (folder / "model.safetensors").write_bytes(bytes(12_345))
    assert 12_345 <= weights({"quant_method": "gptq", "bits": 4}, folder) < 20_000
    assert use_of(settings, _LLAMA, memory(1), folder).needed(_LLAMA, memory(1)).weights == plain


def test_an_adapter_is_counted(tmp_path: Path) -> None:
    folder = model(tmp_path, "big", _LLAMA)
    (tmp_path / "tuned").mkdir()
    (tmp_path / "tuned" / WEIGHTS).write_bytes(bytes(1_000_000))

    def need(adapter: str, precision: str = "bfloat16") -> Needed:
        settings = Settings(models=tmp_path, llm_precision=precision, llm_adapter=adapter)
        return use_of(settings, _LLAMA, memory(1), folder).needed(_LLAMA, memory(1))

    none, tuned = need("none"), need("tuned")
    assert tuned.total == none.total  # it is part of the weights then
    assert tuned.loading - none.loading >= 2_000_000 + 4096 * 11008 * 4
    assert need("tuned", "int4").total - need("none", "int4").total == 1_000_000
    assert need("none") == need("auto") == need("not there")


def test_the_engine_s_bound_is_counted(tmp_path: Path) -> None:
    settings = Settings(models=tmp_path, llm_precision="bfloat16", llm_cache_mb=1500)
    need = use_of(settings, _LLAMA, memory(1)).needed(_LLAMA, memory(1))
    assert need.cache == 1500 * 2**20
    refuse_unfit("big", _LLAMA, settings, Memory("cpu", "RAM", need.peak))


@pytest.mark.parametrize("name", ["llama", "mistral", "qwen3"])
@pytest.mark.parametrize(("rows", "context"), [(1, 100), (3, 300), (8, 256)])
def test_what_is_counted_is_enough_for_the_engine(name: str, rows: int, context: int) -> None:
    tiny_model = tiny(name)
    config = json.loads(tiny_model.config.to_json_string())
    cache = needed(config, "float32", context, rows, "cpu").cache
    batch = Writer(tiny_model, rows, cache).loop
    assert batch is not None
    room = batch._room
    assert room.tokens >= rows * context
    shape = room.shape([context] * rows, (0, 0), 0)
    assert shape == (rows, -(-context // 256) * 256)
    least = needed(config, "float32", context, rows, "cpu", cache_bytes=1).cache
    one = Writer(tiny_model, rows, least).loop
    assert one is not None
    assert one._room.ever(context)


def test_on_a_gpu_a_small_use_takes_more_where_there_is_more() -> None:
    """A cache of 8,192 tokens, a tenth of them common beginnings'; none is refused for it."""
    token = 4 * 2 * 512 * 2  # layers, keys and values, numbers, bytes
    need = needed(_SMALL, "bfloat16", 624, 2, "cuda:0")
    assert need.cache == 1707 * token
    assert need.spare == pytest.approx((2 * 3686 - 1536) * token, abs=token)
    assert need.most == need.total + need.spare
    assert need.peak == need.total
    short = {**_SMALL, "max_position_embeddings": 1024}
    spare = needed(short, "bfloat16", 624, 2, "cuda:0").spare
    assert spare == pytest.approx((2 * 1024 - 1536) * token, abs=token)
    for other in (
        needed(_SMALL, "bfloat16", 624, 2, "cpu"),
        needed(_SMALL, "bfloat16", 1664, 8, "cuda:0"),  # it needs more than that
        needed(_SMALL, "bfloat16", 624, 2, "cuda:0", cache_bytes=10**9),
    ):
        assert other.spare == 0
        assert other.most == other.peak


def test_other_models_that_fit_are_named_the_largest_first(tmp_path: Path) -> None:
    model(tmp_path, "org--small", _SMALL)
    model(tmp_path, "broken", {"model_type": "made-up"})
    (tmp_path / "broken" / "config.json").write_text("{")
    larger = {**_SMALL, "num_hidden_layers": 8}
    settings = Settings(models=tmp_path, llm_precision="bfloat16")
    said = message(4, settings, lambda: [("from the catalogue", larger), ("huge", _LLAMA)])
    assert "set llm.model to from the catalogue, org/small." in said


def test_nothing_of_the_weights_is_read_before_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model(tmp_path, "big", _LLAMA)
    settings = Settings(models=tmp_path, llm_model="big", llm_device="cpu")
    monkeypatch.setattr(fitting, "memory_for", lambda _: memory(2))
    opened = []
    real = os.open
    monkeypatch.setattr("io.open", _noting(opened, open))
    monkeypatch.setattr("builtins.open", _noting(opened, open))
    monkeypatch.setattr("os.open", _noting(opened, real))
    with pytest.raises(ModelError, match="The model big needs"):
        load_generator(settings)
    assert any(name.endswith("config.json") for name in opened)
    assert not [name for name in opened if name.endswith(".safetensors")]
    # who knows better gets as far as the weights
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_generator(replace(settings, llm_check_fit=False))
    assert [name for name in opened if name.endswith(".safetensors")]


def _noting(opened: list[str], real: Any) -> Any:
    def noted(file: Any, *rest: Any, **named: Any) -> Any:
        opened.append(str(file))
        return real(file, *rest, **named)

    return noted


def test_a_mixture_is_read_one_tensor_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "HF_DEACTIVATE_ASYNC_LOAD"
    monkeypatch.delenv(name, raising=False)
    mixture = {**_SMALL, "model_type": "mixtral", "num_local_experts": 4}
    for kind, config in (("mixture", mixture), ("dense", _SMALL)):
        model(tmp_path, kind, config)
        with loading(Settings(models=tmp_path, llm_model=kind, llm_device="cpu")):
            assert (os.environ.get(name) == "1") is (kind == "mixture")
        assert name not in os.environ


def test_a_folder_that_is_not_there_is_left_to_the_loader(tmp_path: Path) -> None:
    for name in ("nowhere", "", "..", "org/nowhere@main"):
        with loading(Settings(models=tmp_path, llm_model=name)):
            pass


def test_the_window_of_the_model_bounds_what_is_asked(tmp_path: Path) -> None:
    short = {**_LLAMA, "max_position_embeddings": 512}
    settings = Settings(models=tmp_path, llm_max_prompt_tokens=1000, llm_max_new_tokens=100)
    assert use_of(settings, short, memory(1)).context == 512
    assert use_of(settings, _LLAMA, memory(1)).context == 1100


def test_the_longest_context_that_fits() -> None:
    free = needed(_SMALL, "float32", 700, 2, "cpu").peak
    assert longest(_SMALL, "float32", 2, "cpu", free, 4096) == 768  # columns are in blocks
    assert longest(_SMALL, "float32", 2, "cpu", free - 1, 4096) == 512
    assert longest(_SMALL, "float32", 2, "cpu", 1, 4096) == 0
    assert longest(_SMALL, "float32", 2, "cpu", 2**50, 4096) == 4096


def test_the_memory_of_the_processor() -> None:
    found = memory_for("cpu")
    assert (found.device, found.name) == ("cpu", "RAM")
    assert found.free > 2**20
    with pytest.raises(UsageError):
        memory_for("abacus")
    if not may_have_gpu():
        assert memory_for("auto").device == "cpu"


def test_free_memory_of_a_gpu_is_the_same_wherever_it_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (
        ("mem_get_info", (10, 100)),
        ("memory_reserved", 7),
        ("memory_allocated", 3),
        ("get_device_name", "A"),
    ):
        monkeypatch.setattr(f"torch.cuda.{name}", lambda _, value=value: value)
    monkeypatch.setattr("rag.models.device.pick_device", lambda _: "cuda:0")
    assert hardware.free_bytes("cuda:0") == 14
    assert memory_for("cuda:0") == Memory("cuda:0", "memory of the GPU A", 14)


def test_a_gpu_is_tidied_before_it_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model(tmp_path, "small", _SMALL)
    done: list[str] = []
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.empty_cache", lambda: done.append("emptied"))

    def measured(_: str) -> Memory:
        done.append("measured")
        return memory(2**20)

    monkeypatch.setattr(fitting, "memory_for", measured)
    with loading(Settings(models=tmp_path, llm_model="small", llm_precision="float32")):
        assert done == ["emptied", "measured"]


@pytest.mark.gpu
def test_the_memory_of_a_gpu() -> None:
    found = memory_for("auto")
    assert found.device.startswith("cuda")
    assert "GPU" in found.name
    assert found.free > 2**28
