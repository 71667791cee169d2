"""Models that were carried in: folders, archives, GGUF files."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rag.cli import main
from rag.errors import ModelError, NotFound, StorageError, UsageError
from rag.models.adapter import pick_adapter
from rag.models.carrying import Carried, add
from rag.models.folder import find_model, list_models, read_manifest, verify
from rag.settings import Settings
from tests.rag.models.gguf_file import write_gguf
from tests.rag.models.weights_file import make_weights
from tests.rag.tuning.tiny import make_adapter, make_model

WEIGHTS = make_weights(20_000)
CARD = "---\nlanguage: en\nlicense: mit\n---\n# Tiny\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "Tiny-Model"
    (folder / ".git").mkdir(parents=True)
    for name, data in {
        "config.json": b'{"model_type": "llama"}',
        "tokenizer.json": b"{}",
        "README.md": CARD.encode(),
        "model.safetensors": WEIGHTS,
        "pytorch_model.bin": b"pickle",
        "modeling.py": b"import os",
        ".git/config": b"x",
    }.items():
        (folder / name).write_bytes(data)
    return folder


def take(settings: Settings, path: Path, **given: Any) -> Any:
    given = {"accepts": "mit", **given}
    return add(settings, Carried(path, **given), lambda _: None, None)


def nothing_is_there(settings: Settings) -> bool:
    return list(settings.models_path.iterdir()) == []


def test_a_folder_is_copied_checked_and_recorded(settings: Settings, folder: Path) -> None:
    found = take(settings, folder)
    assert (found.name, found.licence, found.path.name) == ("Tiny-Model", "mit", "Tiny-Model")
    assert {path.name for path in found.path.iterdir()} == {
        "README.md", "cloister-model.json", "config.json", "model.safetensors", "tokenizer.json",
    }  # fmt: skip
    manifest = read_manifest(found.path)
    assert manifest is not None
    assert manifest.source == "carried in: Tiny-Model"
    assert manifest.accepted_by
    assert len(found.revision) == 12
    verify(found)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    with pytest.raises(ModelError, match=r"already.*--name"):
        take(settings, folder)
    assert take(settings, folder, name="org/tiny").path.name == "org--tiny"
    assert find_model(settings.models_path, "org/tiny").name == "org/tiny"


def test_a_hub_cache_s_links_are_followed(settings: Settings, folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").rename(tmp_path / "blob")
    (folder / "model.safetensors").symlink_to(tmp_path / "blob")
    found = take(settings, folder)
    assert not (found.path / "model.safetensors").is_symlink()


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
def test_an_archive_is_as_good_as_its_folder(
    kind: str, settings: Settings, folder: Path, tmp_path: Path
) -> None:
    made = shutil.make_archive(str(tmp_path / "tiny"), kind, tmp_path, folder.name)
    found = take(settings, Path(made), name=None)
    assert found.path.name == "tiny"
    assert (found.path / "model.safetensors").read_bytes() == WEIGHTS
    assert not (found.path / "modeling.py").exists()
    assert [path.name for path in settings.models_path.iterdir()] == ["tiny"]


def test_what_another_cloister_recorded_holds_here(
    settings: Settings, folder: Path, tmp_path: Path
) -> None:
    first = take(Settings(home=tmp_path / "other"), folder, name="maker/tiny")
    here = take(settings, first.path, name=None)
    assert (here.name, here.revision, here.path.name) == (
        "maker/tiny",
        first.revision,
        "maker--tiny",
    )
    (first.path / "model.safetensors").write_bytes(b"other")
    with pytest.raises(ModelError, match="was changed or is damaged"):
        take(settings, first.path, name="again")


def test_the_licence_must_be_accepted(settings: Settings, folder: Path) -> None:
    with pytest.raises(UsageError, match="--accept-licence mit"):
        take(settings, folder, accepts=None)
    (folder / "README.md").unlink()
    with pytest.raises(UsageError, match="No licence is stated"):
        take(settings, folder, accepts=None)
    assert nothing_is_there(settings)
    assert take(settings, folder, licence="Llama-2", accepts="llama-2").licence == "Llama-2"


@pytest.mark.parametrize(
    ("removed", "told"),
    [("model.safetensors", "pickle files only"), ("config.json", "holds no model")],
)
def test_a_folder_that_is_no_model(
    removed: str, told: str, settings: Settings, folder: Path
) -> None:
    (folder / removed).unlink()
    with pytest.raises(ModelError, match=told):
        take(settings, folder)
    assert nothing_is_there(settings)


def test_weights_that_were_cut_short_are_refused(
    settings: Settings, folder: Path, tmp_path: Path
) -> None:
    (folder / "model.safetensors").write_bytes(WEIGHTS[:5_000])
    with pytest.raises(ModelError, match=r"model\.safetensors of .* is cut short or damaged"):
        take(settings, folder)
    made = Path(shutil.make_archive(str(tmp_path / "tiny"), "tar", tmp_path, folder.name))
    with pytest.raises(ModelError, match="is cut short or damaged"):
        take(settings, made)
    for damaged in (b"", WEIGHTS[:4], b"\xff" * 100, WEIGHTS + b"more"):
        (folder / "model.safetensors").write_bytes(damaged)
        with pytest.raises(ModelError, match="is cut short or damaged"):
            take(settings, folder)
    assert nothing_is_there(settings)


def test_one_shard_keeps_its_index(settings: Settings, folder: Path) -> None:
    shard = "model-00001-of-00001.safetensors"
    (folder / "model.safetensors").rename(folder / shard)
    with pytest.raises(ModelError, match=f"nothing finds: {shard}"):
        take(settings, folder)
    assert nothing_is_there(settings)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"w": shard}}))
    found = take(settings, folder)
    manifest = read_manifest(found.path)
    assert manifest is not None
    assert {shard, index.name} <= set(manifest.files)


class TestAdapter:
    @pytest.fixture
    def adapter(self, tmp_path: Path) -> Path:
        make_model(tmp_path / "base")
        make_adapter(tmp_path / "base-adapter", tmp_path / "base", seed=1)
        (tmp_path / "base-adapter" / "README.md").write_text("Its card.")
        (tmp_path / "base-adapter" / "run.py").write_text("import os")
        return tmp_path / "base-adapter"

    def test_one_of_cloister_s_is_copied_and_may_be_used(
        self, adapter: Path, settings: Settings, tmp_path: Path
    ) -> None:
        said: list[str] = []
        found = add(settings, Carried(adapter), said.append, None)
        assert (found.path, found.task) == (settings.models_path / "base-adapter", "adapter")
        assert {path.name for path in found.path.iterdir()} == {
            "README.md", "adapter_config.json", "adapter_model.safetensors",
            "cloister-adapter.json",
        }  # fmt: skip
        assert said == [
            "base-adapter is an adapter for base. Use it: cloister models use base --adapter "
            "base-adapter"
        ]
        base = find_model(tmp_path, "base")
        picked = pick_adapter(settings.models_path, "base-adapter", base)
        assert picked is not None
        assert picked.path == found.path
        with pytest.raises(ModelError, match="already"):
            add(settings, Carried(adapter), said.append, None)

    def test_one_that_was_changed_is_refused(self, adapter: Path, settings: Settings) -> None:
        weights = adapter / "adapter_model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1] + b"!")
        with pytest.raises(ModelError, match="was changed or is damaged"):
            take(settings, adapter)
        assert nothing_is_there(settings)

    def test_one_of_another_program_is_said_to_be_one(
        self, adapter: Path, settings: Settings
    ) -> None:
        (adapter / "cloister-adapter.json").unlink()
        with pytest.raises(ModelError, match="is an adapter, no model"):
            take(settings, adapter)
        assert nothing_is_there(settings)


def test_what_is_not_there_or_nothing_of_the_kind(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        take(settings, tmp_path / "absent")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(UsageError, match="no folder, no archive"):
        take(settings, tmp_path / "notes.txt")
    with pytest.raises(UsageError, match="cannot name a model"):
        take(settings, tmp_path, name="../x")


def test_two_models_in_one_folder(settings: Settings, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "both" / "a")
    shutil.copytree(folder, tmp_path / "both" / "b")
    with pytest.raises(UsageError, match="several models: a, b"):
        take(settings, tmp_path / "both")


class TestHostileArchives:
    def zipped(self, path: Path, members: dict[str, bytes]) -> Path:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return path

    @pytest.mark.parametrize("name", ["../evil.json", "/evil.json", "a/../../evil.json", "a\\b"])
    def test_outside_of_its_folder(self, name: str, settings: Settings, tmp_path: Path) -> None:
        path = self.zipped(tmp_path / "m.zip", {"m/config.json": b"{}", name: b"x"})
        with pytest.raises(ModelError, match="outside of its folder"):
            take(settings, path)
        assert nothing_is_there(settings)
        assert not list(tmp_path.rglob("evil.json"))

    @pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
    def test_links_and_devices(self, kind: bytes, settings: Settings, tmp_path: Path) -> None:
        with tarfile.open(tmp_path / "m.tar", "w") as archive:
            info = tarfile.TarInfo("m/model.safetensors")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        with pytest.raises(ModelError, match="link or a device"):
            take(settings, tmp_path / "m.tar")
        assert nothing_is_there(settings)

    def test_a_tar_that_leads_outside(self, settings: Settings, tmp_path: Path) -> None:
        with tarfile.open(tmp_path / "m.tar.gz", "w:gz") as archive:
            info = tarfile.TarInfo("../../evil.json")
            info.size = 2
            archive.addfile(info, io.BytesIO(b"{}"))
        with pytest.raises(ModelError, match="outside"):
            take(settings, tmp_path / "m.tar.gz")
        assert not list(tmp_path.rglob("evil.json"))

    def test_a_bomb(self, settings: Settings, tmp_path: Path) -> None:
        path = self.zipped(tmp_path / "m.zip", {"m/model.safetensors": bytes(60_000_000)})
        with pytest.raises(ModelError, match="out of proportion"):
            take(settings, path)
        assert nothing_is_there(settings)

    def test_a_damaged_one(self, settings: Settings, folder: Path, tmp_path: Path) -> None:
        made = Path(shutil.make_archive(str(tmp_path / "m"), "gztar", tmp_path, folder.name))
        made.write_bytes(made.read_bytes()[:5_000])
        with pytest.raises(ModelError, match="is damaged"):
            take(settings, made)
        assert nothing_is_there(settings)

    def test_no_room(
        self, settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
        with pytest.raises(StorageError, match="Too little disk space"):
            take(settings, folder)
        assert nothing_is_there(settings)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("gguf")
    make_model(base / "whole")
    write_gguf(base / "whole", base / "tiny-F32.gguf")
    return base


class TestGguf:
    @pytest.mark.slow
    def test_it_becomes_safetensors_that_say_the_same(self, made: Path, settings: Settings) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        found = take(settings, made / "tiny-F32.gguf", licence="mit")
        assert found.path.name == "tiny-F32"
        manifest = read_manifest(found.path)
        assert manifest is not None
        assert list(manifest.made_from) == ["tiny-F32.gguf"]
        assert not any(name.endswith(".gguf") for name in manifest.files)
        verify(found)
        texts = ["The ferry leaves at 07:40 [2].", "a day ticket: 1990 €  "]
        old = AutoTokenizer.from_pretrained(made / "whole")
        new = AutoTokenizer.from_pretrained(found.path)
        assert new.chat_template == old.chat_template
        assert [new.decode(new(t)["input_ids"]) for t in texts] == texts
        ids = torch.tensor([old(texts[0])["input_ids"]])
        models = [AutoModelForCausalLM.from_pretrained(p, dtype=torch.float32)
                  for p in (made / "whole", found.path)]  # fmt: skip
        with torch.inference_mode():
            before, after = (model(ids).logits for model in models)
        assert torch.allclose(before, after, atol=0.02 * before.abs().max().item())
        assert not torch.allclose(before, torch.zeros_like(before))

    def test_an_unknown_tokenizer_is_refused(self, made: Path, tmp_path: Path) -> None:
        from rag.models.conversion import convert

        path = write_gguf(made / "whole", made / "odd.gguf", pre="odd-bpe")
        with pytest.raises(ModelError, match="“odd-bpe”, cuts words apart"):
            convert(path, tmp_path / "made")

    def test_no_gguf_file_at_all(self, settings: Settings, tmp_path: Path) -> None:
        (tmp_path / "x.gguf").write_bytes(b"not a gguf file")
        with pytest.raises(ModelError, match="no GGUF file"):
            take(settings, tmp_path / "x.gguf", licence="mit")
        assert nothing_is_there(settings)

    def test_one_of_several_is_named(self, settings: Settings, tmp_path: Path) -> None:
        for name in ("a-Q4.gguf", "a-Q8.gguf", "b-00001-of-00002.gguf"):
            (tmp_path / "many" / name).parent.mkdir(exist_ok=True)
            (tmp_path / "many" / name).write_bytes(b"GGUF")
        with pytest.raises(UsageError, match=r"--file: a-Q4\.gguf, a-Q8\.gguf"):
            take(settings, tmp_path / "many")
        with pytest.raises(ModelError, match="one part of several"):
            take(settings, tmp_path / "many", gguf="b-00001-of-00002.gguf")


def test_the_command(settings: Settings, folder: Path) -> None:
    home = ["--home", str(settings.home), "models"]
    refused = CliRunner().invoke(main, [*home, "add", str(folder)])
    assert refused.exit_code == 2
    done = CliRunner().invoke(
        main, [*home, "add", str(folder), "--accept-licence", "mit", "--json"]
    )
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["models"][0]["folder"] == "Tiny-Model"
    assert [f.name for f in list_models(settings.models_path, pytest.fail)] == ["Tiny-Model"]


def test_a_converted_model_is_recorded_as_what_it_came_from(
    made: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert(source: Path, folder: Path, *_: Any) -> None:
        shutil.copytree(made / "whole", folder)
        assert source.read_bytes()[:4] == b"GGUF"

    monkeypatch.setattr("rag.models.pulling.convert", convert)
    found = take(settings, made / "tiny-F32.gguf", licence="mit")
    manifest = read_manifest(found.path)
    assert manifest is not None
    assert list(manifest.made_from) == ["tiny-F32.gguf"]
    assert "model.safetensors" in manifest.files
    assert not any(name.endswith(".gguf") for name in manifest.files)
    verify(found)
    assert (made / "tiny-F32.gguf").is_file()
