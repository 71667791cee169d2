"""`cloister models list` and `cloister models show`."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rag.cli import main


def run(models: Path, home: Path, *arguments: str) -> Result:
    runner = CliRunner(env={"CLOISTER_MODELS": str(models)})
    return runner.invoke(main, ["--home", str(home), "models", *arguments])


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with one model, under an id of the catalogue."""
    folder = tmp_path / "m" / "Qwen--Qwen3-0.6B"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return tmp_path / "m"


def listed(models: Path, home: Path, *arguments: str) -> dict[str, Any]:
    result = run(models, home, "list", "--json", *arguments)
    assert result.exit_code == 0
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_the_catalogue_is_beside_what_is_here(models: Path, tmp_path: Path) -> None:
    found = listed(models, tmp_path)
    assert [row["name"] for row in found["models"]] == ["Qwen/Qwen3-0.6B"]
    row = next(row for row in found["catalogue"] if row["id"] == "Qwen/Qwen3-0.6B")
    assert (row["here"], row["commercial"], row["licence"]) == (True, "yes", "Apache-2.0")
    assert found["machine"]["bytes"] > 0


def test_the_keys_of_a_model_here_are_those_it_had(models: Path, tmp_path: Path) -> None:
    row = listed(models, tmp_path)["models"][0]
    assert {"name", "task", "revision", "licence", "bytes", "in_use"} <= set(row)


def test_filters_reach_the_list(models: Path, tmp_path: Path) -> None:
    found = listed(models, tmp_path, "--commercial", "--language", "pl", "--family", "qwen3")
    assert {row["family"] for row in found["catalogue"]} == {"Qwen3"}
    assert listed(models, tmp_path, "--task", "embedder")["models"] == []
    assert listed(models, tmp_path, "--here")["catalogue"][0]["id"] == "Qwen/Qwen3-0.6B"
    fits = listed(models, tmp_path, "--fits")["catalogue"]
    assert fits
    assert all(row["fits"] for row in fits)


def test_the_table_says_the_licence_in_words(models: Path, tmp_path: Path) -> None:
    result = run(models, tmp_path, "list")
    first, *_ = result.stdout.splitlines()
    assert first.startswith("  Qwen/Qwen3-0.6B")
    assert "not recorded" in first
    lines = [line for line in result.stdout.splitlines() if "Qwen/Qwen3-0.6B" in line]
    assert lines[1].startswith("+ Qwen/Qwen3-0.6B")
    assert "free for any use" in lines[1]
    assert "This is not legal advice." in result.stderr
    assert "catalogue" not in run(models, tmp_path, "list", "--here").stdout


def test_nothing_found_is_said(models: Path, tmp_path: Path) -> None:
    result = run(models, tmp_path, "list", "--family", "none", "--task", "llm")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "No model is as you asked" in result.stderr


def test_show_says_all_of_a_model(models: Path, tmp_path: Path) -> None:
    text = run(models, tmp_path, "show", "falcon-180b-chat").stdout
    for words in (
        "Falcon 180B TII License 1.0",
        "hosting it for others                    no.",
        "Code of the architecture, in transformers: Apache License 2.0",
        "This is not legal advice.",
        "training code                            closed",
        "bfloat16                                    357.1 GB",
        "https://huggingface.co/spaces/tiiuae/falcon-180b-license/blob/main/LICENSE.txt",
    ):
        assert words in text
    assert "in use" not in text
    assert "chat template                            falcon-chat\n" in text


def test_show_claims_no_more_of_its_sources_than_is_known(models: Path, tmp_path: Path) -> None:
    text = " ".join(run(models, tmp_path, "show", "microsoft/phi-4").stdout.split())
    assert "looked up" not in text
    assert "Sources, named in 2026-11. Not every one was read: check the licence" in text
    assert "chat template its tokenizer's own, which auto takes" in text


def test_show_for_programs(models: Path, tmp_path: Path) -> None:
    result = run(models, tmp_path, "show", "Qwen/Qwen3-0.6B", "--json")
    found = json.loads(result.stdout)
    assert found["id"] == "Qwen/Qwen3-0.6B"
    assert found["here"][0]["name"] == "Qwen/Qwen3-0.6B"
    assert {need["precision"] for need in found["memory"]} == {
        "float32",
        "bfloat16",
        "int8",
        "int4",
    }
    assert found["sources"]["licence"]


def test_an_unknown_one_names_the_nearest(models: Path, tmp_path: Path) -> None:
    result = run(models, tmp_path, "show", "qwen3-0.6", "--json")
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert error["code"] == "not-found"
    assert "Qwen/Qwen3-0.6B" in error["message"]


def test_an_empty_adapter_is_none(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the server understands it, whose change is compared with the one that was asked for."""

    class Server:
        last: dict[str, Any] | None = None

        def use_model(self, model: str, adapter: str) -> None:
            self.last = {"model": model, "adapter": adapter or "none", "ok": True, "notes": []}

        def model_state(self) -> dict[str, Any]:
            active = {"id": "tiny", "revision": ""}
            return {"active": active, "changing": None, "last": self.last}

    # the package has the command under the module's name
    module = importlib.import_module("rag.commands.models.use")
    server = Server()
    monkeypatch.setattr(module, "open_server", lambda _: server)
    result = run(models, tmp_path, "use", "tiny", "--adapter", "")
    assert (result.exit_code, result.stderr) == (0, "")
