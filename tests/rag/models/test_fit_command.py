"""`cloister models fit`: what a model needs, in each precision."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rag.commands.models import models
from rag.errors import NotFound
from rag.models import quantized
from rag.models.fit import cache_tokens
from rag.settings import Settings

_CONFIG = {
    "model_type": "llama",
    "vocab_size": 1000,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 2048,
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    folder = tmp_path / "org--tiny"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(_CONFIG))
    return Settings(models=tmp_path, llm_device="cpu", llm_precision="float32")


def run(settings: Settings, *arguments: str) -> Result:
    return CliRunner().invoke(models, ["fit", *arguments], obj=settings)


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantized, "find_spec", lambda _: object())


def test_a_model_of_the_catalogue_need_not_be_here(settings: Settings) -> None:
    done = run(settings, "smollm2-135m-instruct", "--precision", "float32", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["model"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert said["precisions"][0]["weights_bytes"] >= 4 * said["parameters"]


def test_a_precision_that_does_not_load_does_not_fit(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantized, "find_spec", lambda _: None)
    rows = json.loads(run(settings, "org/tiny", "--json").stdout)["precisions"]
    assert [row["precision"] for row in rows if not row["fits"]] == ["int4"]
    assert run(settings, "org/tiny").stdout.count("does not load here") == 1


def test_by_name_folder_and_file(settings: Settings) -> None:
    folder = settings.models_path / "org--tiny"
    for given in ("tiny", "org/tiny", "org--tiny", str(folder), str(folder / "config.json")):
        done = run(settings, given, "--json")
        assert done.exit_code == 0, done.output
        said = json.loads(done.stdout)
        assert (said["model"].replace("--", "/"), said["kind"]) == ("org/tiny", "llama")
        assert (said["context"], said["concurrency"], said["window"]) == (1664, 8, 2048)
        assert [row["precision"] for row in said["precisions"]] == [
            "float32",
            "bfloat16",
            "float16",
            "int8",
            "int4",
        ]
        assert all(row["fits"] for row in said["precisions"])


def test_as_it_is_to_be_used(settings: Settings) -> None:
    given = ("--context", "1000", "--concurrency", "2", "--precision", "bfloat16", "--json")
    (row,) = json.loads(run(settings, "org/tiny", *given).stdout)["precisions"]
    assert row["cache_bytes"] == cache_tokens(1000, 2) * 2 * 2 * 64 * 2
    assert row["total_bytes"] == sum(row[f"{n}_bytes"] for n in ("weights", "cache", "overhead"))


def test_the_table_says_what_does_not_fit(settings: Settings) -> None:
    done = run(settings, "org/tiny", "--context", str(2**31), "--concurrency", "9")
    assert done.stdout.count("does not fit") == 5
    assert "made for 2,048 tokens at most" in done.stderr
    assert "of RAM are free" in done.stdout


@pytest.mark.parametrize("name", ["absent", "", "..", "/nowhere/config.json"])
def test_no_such_model(settings: Settings, name: str) -> None:
    done = run(settings, name)
    shown = CliRunner().invoke(models, ["show", name], obj=settings)
    assert isinstance(done.exception, NotFound)
    assert type(done.exception) is type(shown.exception)
    assert str(settings.models_path) not in str(done.exception)
