"""Loading in fewer bits: what is computed, what is needed for it, and what is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from rag.errors import ModelError
from rag.models import loading
from rag.models.adapter import put_adapter, quiet_peft
from rag.models.embedder import LocalEmbedding
from rag.models.folder import ModelFolder
from rag.models.int8 import Int8Linear, to_int8
from rag.models.loading import load_causal
from rag.models.writer import Writer
from rag.reading.reader import Reader
from rag.tuning.embedder.network import EmbedderNetwork
from rag.tuning.network import Network
from rag.tuning.recipe import EmbedderRecipe
from tests.rag.tuning.tiny import make_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 96), (2, 3, 96), (1, 40, 96)])
def test_eight_bits_compute_nearly_the_same(
    shape: tuple[int, ...], dtype: torch.dtype, bias: bool
) -> None:
    torch.manual_seed(0)
    linear = torch.nn.Linear(96, 48, bias=bias, dtype=dtype)
    with torch.no_grad():
        linear.weight[7] = 0.0  # a row without a scale
    given = torch.randn(shape, dtype=dtype)
    exact = torch.nn.functional.linear(
        given.double(), linear.weight.double(), linear.bias.double() if bias else None
    )
    found = Int8Linear(linear)(given)
    assert found.shape == exact.shape
    assert found.dtype == dtype
    assert torch.isfinite(found).all()
    error = (found.double() - exact).abs().max() / exact.std()
    assert error < 0.05
    assert Int8Linear(linear).weight.dtype == torch.int8


def test_all_but_the_last_layer_is_held_in_eight_bits(folder: Path) -> None:
    loaded = load_causal(folder, "cpu", "int8")
    assert loaded.quantization == "int8"
    kinds = {name: type(module) for name, module in loaded.model.named_modules()}
    assert kinds["lm_head"] is torch.nn.Linear
    assert all(kind is not torch.nn.Linear for name, kind in kinds.items() if name != "lm_head")
    whole = load_causal(folder, "cpu", "float32")
    assert whole.quantization is None
    assert 0 < to_int8(whole.model) < 1


def test_an_adapter_beside_the_weights_answers_as_a_merged_one_in_a_batch(
    folder: Path, tmp_path: Path
) -> None:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    config = LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    with quiet_peft():
        model = load_causal(folder, "cpu", "float32").model
        get_peft_model(model, config).save_pretrained(tmp_path)
    ids = torch.arange(5, 25)[None]
    plain, beside, merged = (load_causal(folder, "cpu", "float32").model for _ in range(3))
    beside = put_adapter(beside, tmp_path, merge=False).eval()
    merged = put_adapter(merged, tmp_path).eval()
    assert any("lora" in name for name, _ in beside.named_parameters())
    assert type(beside) is type(plain)
    assert Writer(beside, rows=2, cache_bytes=2**20).batched
    with torch.inference_mode():
        found, right, other = (model(ids).logits for model in (beside, merged, plain))
    torch.testing.assert_close(found, right, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(found, other, atol=0.1)


@pytest.mark.parametrize("precision", ["int4", "int8"])
def test_what_needs_bitsandbytes_says_so(
    folder: Path, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "find_spec", lambda name: None)
    place = "cuda:0" if precision == "int8" else "cpu"
    with pytest.raises(ModelError, match=f"llm.precision {precision}.*bitsandbytes.*--extra"):
        load_causal(folder, place, precision)


@pytest.mark.parametrize(
    ("method", "package"),
    [("gptq", "gptqmodel"), ("awq", "gptqmodel"), ("compressed-tensors", "compressed_tensors")],
)
def test_a_checkpoint_that_was_quantized_names_what_it_needs(
    tmp_path: Path, method: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _quantized(tmp_path / "quantized", method)
    monkeypatch.setattr(loading, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=f"is quantized \\({method}\\).*{package}"):
        load_causal(folder, "cpu", "auto")
    with pytest.raises(ModelError, match=f"quantized already \\({method}\\).*auto"):
        load_causal(folder, "cpu", "int8")


def _quantized(folder: Path, method: str) -> Path:
    make_model(folder)
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": method, "bits": 4}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def cut(request: pytest.FixtureRequest, folder: Path, models_path: Path, tmp_path: Path) -> Path:
    """A model's folder whose weights are the beginning of what they were."""
    base = folder if request.param == "tiny" else models_path / request.param
    weights = Path(shutil.copytree(base, tmp_path / "cut")) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5_000])
    return weights.parent


@pytest.mark.parametrize("cut", ["tiny"], indirect=True)
def test_an_llm_that_was_cut_short_is_told(cut: Path) -> None:
    with pytest.raises(ModelError, match="The LLM cut cannot be loaded"):
        load_causal(cut, "cpu", "float32")
    with pytest.raises(ModelError, match="The LLM cut cannot be loaded"):
        Network(ModelFolder(cut, "cut", "", "MIT"), "cpu", rank=4, seed=0)


@pytest.mark.parametrize("cut", ["all-MiniLM-L6-v2"], indirect=True)
def test_an_embedder_or_a_reader_that_was_cut_short_is_told(cut: Path, models_path: Path) -> None:
    with pytest.raises(ModelError, match="The embedder cut cannot be loaded"):
        LocalEmbedding(cut, "cpu", "float32", 8)
    with pytest.raises(ModelError, match="The embedder cut cannot be loaded"):
        EmbedderNetwork(ModelFolder(cut, "cut", "", "MIT"), "cpu", EmbedderRecipe())
    whole = models_path / "all-MiniLM-L6-v2"
    with pytest.raises(ModelError, match="The reader model cannot be loaded"):
        Reader(whole, "cpu", "float32", cut / "model.safetensors")
