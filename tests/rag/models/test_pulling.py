"""A model from a hub: resumed, checked, licensed, whole or not there."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rag import __version__
from rag.cli import main
from rag.commands.transfer import ask_licence
from rag.errors import Busy, ModelError, NotFound, StorageError, UsageError
from rag.models import downloading
from rag.models.consent import Licence
from rag.models.folder import find_model, list_models, read_manifest, verify
from rag.models.hub import open_hub
from rag.models.pulling import Wanted, pull
from rag.settings import Settings
from tests.hub_server import COMMIT, FakeHub, Repo, serving
from tests.rag.models.weights_file import make_weights

WEIGHTS = make_weights(700_000)
CONFIG = json.dumps({"model_type": "llama"}).encode()
ID = "maker/tiny"


def files(**more: bytes) -> dict[str, bytes]:
    return {
        "config.json": CONFIG,
        "tokenizer.json": b"{}",
        "tokenizer.model": b"pieces",
        "README.md": b"---\nlicense: apache-2.0\n---\nHello.",
        "LICENSE": b"Do as you like.",
        "model.safetensors": WEIGHTS,
        "pytorch_model.bin": b"a pickle",
        "modeling_tiny.py": b"import os",
        ".gitattributes": b"*.bin lfs",
        "onnx/model.onnx": b"onnx",
        "original/consolidated.safetensors": b"again",
        "training_args.bin": b"pickle",
        **more,
    }


class Heard:
    """A transfer that keeps what it hears."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.total = self.done = 0

    def say(self, line: str) -> None:
        self.lines.append(line)

    def expect(self, total: int) -> None:
        self.total = total

    def advance(self, count: int) -> None:
        self.done += count


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloading.download, "__defaults__", (lambda _: None,))
    for name in ("HF_TOKEN", "HF_TOKEN_PATH", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", "/nowhere/token")


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with serving(FakeHub({ID: Repo(files())})) as running:
        yield running


@pytest.fixture
def settings(hub: FakeHub, tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, hub_url=hub.address)


def take(settings: Settings, model: str = ID, heard: Heard | None = None, **more: Any) -> Any:
    given = {"licence": "apache-2.0", **more}
    return pull(settings, Wanted(model, **given), heard or Heard(), None)


def hidden(settings: Settings) -> list[str]:
    return [path.name for path in settings.models_path.iterdir() if path.name[0] == "."]


def test_it_is_pinned_recorded_and_without_code_or_pickles(
    settings: Settings, hub: FakeHub
) -> None:
    heard = Heard()
    found = take(settings, heard=heard)
    assert found.path == settings.models_path / "maker--tiny"
    assert (found.name, found.revision, found.licence) == (ID, COMMIT, "apache-2.0")
    there = {path.name for path in found.path.iterdir()}
    assert there == {
        "cloister-model.json", "config.json", "tokenizer.json", "tokenizer.model", "README.md",
        "LICENSE", "model.safetensors",
    }  # fmt: skip
    manifest = read_manifest(found.path)
    assert manifest is not None
    assert manifest.files["model.safetensors"] == hashlib.sha256(WEIGHTS).hexdigest()
    assert manifest.source.endswith(f"/{ID}@{COMMIT}")
    assert manifest.accepted_by
    assert manifest.accepted_at.endswith("+00:00")
    assert heard.done == heard.total == manifest.download_bytes
    verify(find_model(settings.models_path, ID))
    assert find_model(settings.models_path, f"{ID}@{COMMIT}") == found
    assert hidden(settings) == []
    assert hub.agents == {f"cloister/{__version__}"}


def test_pulled_again_it_is_verified_and_kept(settings: Settings, hub: FakeHub) -> None:
    found = take(settings)
    asked = len(hub.asked)
    assert take(settings, licence=None) == found
    assert len(hub.asked) == asked + 1
    (found.path / "model.safetensors").write_bytes(b"other")
    with pytest.raises(ModelError, match="was changed or is damaged"):
        take(settings)


def test_another_revision_needs_another_name(settings: Settings, hub: FakeHub) -> None:
    take(settings)
    hub.repos[ID] = Repo(files(), commit="f" * 40, revisions=("main", "v2"))
    with pytest.raises(ModelError, match=r"--name maker--tiny-fffffff"):
        take(settings, revision="v2")
    found = take(settings, revision="v2", name="tiny-2")
    assert (found.name, found.revision, found.path.name) == ("tiny-2", "f" * 40, "tiny-2")
    with pytest.raises(NotFound, match="no revision “v3”"):
        take(settings, revision="v3", name="x")


def test_a_broken_connection_goes_on_where_it_was(settings: Settings, hub: FakeHub) -> None:
    hub.cuts["model.safetensors"] = [100_000, 0, 200_000]
    hub.statuses["tokenizer.json"] = [503, 429]
    take(settings)
    assert hub.gets("model.safetensors") == [
        None, "bytes=100000-", "bytes=100000-", "bytes=300000-",
    ]  # fmt: skip
    assert len(hub.gets("tokenizer.json")) == 3


def test_what_never_comes_is_given_up_kept_and_gone_on_with(
    settings: Settings, hub: FakeHub
) -> None:
    hub.cuts["model.safetensors"] = [300_000, *[0] * 20]
    with pytest.raises(ModelError, match="the same command goes on"):
        take(settings)
    assert list_models(settings.models_path, pytest.fail) == []
    (stage,) = hidden(settings)
    part = settings.models_path / stage / "files" / "model.safetensors.incomplete"
    assert part.read_bytes() == WEIGHTS[:300_000]
    hub.cuts.clear()
    hub.asked.clear()
    heard = Heard()
    take(settings, heard=heard)
    assert hub.gets("model.safetensors") == ["bytes=300000-"]
    assert hub.gets("config.json") == []
    assert heard.done == heard.total


def test_a_server_without_ranges_sends_it_all_again(settings: Settings, hub: FakeHub) -> None:
    hub.ranges = False
    hub.cuts["model.safetensors"] = [100_000]
    heard = Heard()
    found = take(settings, heard=heard)
    assert (found.path / "model.safetensors").read_bytes() == WEIGHTS
    assert heard.done == heard.total


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("longer", [b"", b"more"])
def test_another_file_than_the_hub_says_is_not_kept(
    name: str, longer: bytes, settings: Settings, hub: FakeHub
) -> None:
    right = hub.repos[ID].files[name]
    hub.swapped[name] = bytes(b ^ 1 for b in right) + longer
    with pytest.raises(ModelError, match=f"{name} of maker/tiny is not the file"):
        take(settings)
    assert list_models(settings.models_path, pytest.fail) == []
    (stage,) = hidden(settings)
    assert not list((settings.models_path / stage).rglob(f"{name}*"))
    hub.swapped.clear()
    take(settings)


def test_a_damaged_part_is_fetched_again(settings: Settings, hub: FakeHub) -> None:
    hub.cuts["model.safetensors"] = [300_000, *[0] * 20]
    with pytest.raises(ModelError):
        take(settings)
    hub.cuts.clear()
    (stage,) = hidden(settings)
    part = settings.models_path / stage / "files" / "model.safetensors.incomplete"
    part.write_bytes(bytes(200_000))
    take(settings)
    assert hub.gets("model.safetensors")[-2:] == ["bytes=200000-", None]


def test_gated_models_are_explained(
    settings: Settings, hub: FakeHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub.repos[ID].gated = True
    with pytest.raises(ModelError, match="no token is given") as told:
        take(settings)
    assert f"{hub.address}/{ID}" in str(told.value)
    assert "HF_TOKEN" in str(told.value)
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(ModelError, match="may not read it"):
        take(settings)
    monkeypatch.delenv("HF_TOKEN")
    (tmp_path / "token").write_text("hf_good\n")
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "token"))
    found = take(settings)
    assert not any(b"hf_good" in path.read_bytes() for path in found.path.iterdir())


def test_no_token_goes_over_http_to_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    plain = open_hub(Settings(home=tmp_path, hub_url="http://hub.example/"))
    assert plain.token is None
    assert "token is not sent to http://hub.example" in plain.withheld
    assert "no token is sent over http" in str(plain.gated(ID))
    for url in ("https://hub.example", "http://localhost:8080", "http://[::1]:80"):
        hub = open_hub(Settings(home=tmp_path, hub_url=url))
        assert (hub.token, hub.withheld) == ("hf_good", "")
    assert open_hub(Settings(home=tmp_path, hub_url="http://127.0.0.1.hub.example")).token is None
    heard = Heard()
    with pytest.raises(ModelError):
        pull(Settings(home=tmp_path, hub_url="http://hub.invalid"), Wanted(ID), heard, None)
    assert heard.lines.count(plain.withheld.replace("hub.example", "hub.invalid")) == 1


def test_the_stored_login_goes_to_its_own_hub_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("hf_stored")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    assert open_hub(Settings(home=tmp_path)).token == "hf_stored"
    mirror = Settings(home=tmp_path, hub_url="https://hub.example")
    assert open_hub(mirror).token is None
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example")
    assert open_hub(Settings(home=tmp_path)).token is None
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "token"))
    assert open_hub(mirror).token == "hf_stored"


def test_a_licence_cannot_act_on_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("click.confirm", lambda *_, **__: True)
    text = "You owe us all.\n\x1b[1A\x1b[2KDo as you like.\r\tFree.\x07"
    assert ask_licence(Licence(ID, "own", text=text))
    shown = capsys.readouterr().err
    assert not {"\x1b", "\r", "\x07"} & set(shown)
    assert shown.startswith("You owe us all.\n\ufffd[1A\ufffd[2KDo as you like.\n        Free.")


def test_a_model_that_is_not_there(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match=r"no model maker/absent .* private, set HF_TOKEN"):
        take(settings, "maker/absent")
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    with pytest.raises(NotFound, match="Check its name"):
        take(settings, "maker/absent")
    with pytest.raises(UsageError):
        take(settings, "a/b/c")
    with pytest.raises(UsageError):
        take(settings, "../../etc")


def test_no_hub_and_a_hub_that_does_not_answer(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cloister models add FOLDER"):
        take(Settings(home=tmp_path, hub_url="http://127.0.0.1:9"))
    with pytest.raises(UsageError, match=r"hub\.url is none"):
        take(Settings(home=tmp_path, hub_url="none"))
    with pytest.raises(UsageError, match="no address"):
        take(Settings(home=tmp_path, hub_url="hub.example"))


def test_the_process_is_offline_before_and_after(settings: Settings) -> None:
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import OfflineModeIsEnabled

    assert constants.is_offline_mode()
    take(settings)
    assert constants.is_offline_mode()
    with pytest.raises((OfflineModeIsEnabled, OSError)):
        hf_hub_download(ID, "config.json", endpoint=settings.hub_url)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"config.json": b'{"model_type": "odd", "auto_map": {"AutoConfig": "a.B"}}'},
         "needs code of its own.*“odd”"),
        ({"tokenizer_config.json": b'{"auto_map": {"AutoTokenizer": ["a.B", null]}}',
          "tokenizer.json": None}, "tokenizer of the model .* needs code"),
        ({"model.safetensors": None}, r"pickle files only.*refs/pr/1"),
        ({"model.safetensors": None, "pytorch_model.bin": None, "training_args.bin": None},
         "neither safetensors nor GGUF"),
        ({"model.safetensors": None, "adapter_config.json": b"{}"}, "is an adapter"),
        ({"config.json": None}, r"no config\.json"),
        ({"model.safetensors.index.json": b'{"weight_map": {"w": "../../x.safetensors"}}',
          "../../x.safetensors": b"x"}, r"lacks \.\./\.\./x"),
    ],
)  # fmt: skip
def test_what_is_no_model_for_us_is_refused_before_the_weights(
    changes: dict[str, bytes | None], told: str, settings: Settings, hub: FakeHub
) -> None:
    given = {**files(), **changes}
    hub.repos[ID].files = {name: data for name, data in given.items() if data is not None}
    with pytest.raises(ModelError, match=told):
        take(settings)
    assert hub.gets("model.safetensors") == []


def test_code_is_not_needed_where_the_kind_is_known(settings: Settings, hub: FakeHub) -> None:
    config = b'{"model_type": "llama", "auto_map": {"AutoModelForCausalLM": "m.M"}}'
    hub.repos[ID].files = files(**{"config.json": config})
    verify(take(settings))


def test_shards_and_modules_are_taken_by_name(settings: Settings, hub: FakeHub) -> None:
    shards = {f"model-0000{n}-of-00002.safetensors": make_weights(50) for n in (1, 2)}
    index = json.dumps({"weight_map": dict(zip("ab", shards, strict=True))}).encode()
    modules = b'[{"path": ""}, {"path": "1_Pooling"}, {"path": "/etc"}, {"path": ".."}]'
    del hub.repos[ID].files["model.safetensors"]
    hub.repos[ID].files |= {
        **shards,
        "model.safetensors.index.json": index,
        "consolidated.safetensors": b"again",
        "modules.json": modules,
        "1_Pooling/config.json": b"{}",
        "1_Pooling/code.py": b"import os",
        "2_Other/config.json": b"{}",
        "/etc/x.json": b"{}",
        "../x.json": b"{}",
    }
    found = take(settings)
    manifest = read_manifest(found.path)
    assert manifest is not None
    assert {n for n in manifest.files if "/" in n or n.endswith(".safetensors")} == {
        *shards,
        "1_Pooling/config.json",
    }
    assert found.task == "embedder"
    assert not (settings.models_path / "x.json").exists()


def test_one_shard_keeps_its_index(settings: Settings, hub: FakeHub) -> None:
    shard, index = "model-00001-of-00001.safetensors", "model.safetensors.index.json"
    hub.repos[ID].files[shard] = hub.repos[ID].files.pop("model.safetensors")
    with pytest.raises(ModelError, match=f"nothing finds: {shard}"):
        take(settings)
    assert hub.gets(shard) == []
    hub.repos[ID].files[index] = json.dumps({"weight_map": {"w": shard}}).encode()
    manifest = read_manifest(take(settings).path)
    assert manifest is not None
    assert {shard, index} <= set(manifest.files)


def test_weights_that_the_hub_has_cut_short_are_refused(settings: Settings, hub: FakeHub) -> None:
    hub.repos[ID].files["model.safetensors"] = WEIGHTS[:5_000]
    with pytest.raises(ModelError, match=r"model\.safetensors of maker/tiny is cut short"):
        take(settings)
    assert list_models(settings.models_path, pytest.fail) == []


class TestGguf:
    @pytest.fixture
    def several(self, hub: FakeHub) -> dict[str, bytes]:
        data = {f"tiny-{kind}.gguf": b"GGUF" + os.urandom(5_000) for kind in ("Q4_K_M", "Q8_0")}
        hub.repos[ID].files = {"config.json": CONFIG, "README.md": b"Hello.", **data}
        return data

    def test_one_of_several_is_named_and_converted(
        self,
        several: dict[str, bytes],
        settings: Settings,
        hub: FakeHub,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        with pytest.raises(UsageError, match=r"--file: tiny-Q4_K_M\.gguf, tiny-Q8_0\.gguf"):
            take(settings)
        with pytest.raises(UsageError, match=r"has no file x\.gguf"):
            take(settings, gguf="x.gguf")

        def convert(source: Path, folder: Path, *_: Any) -> None:
            assert source.read_bytes() == several["tiny-Q8_0.gguf"]
            folder.mkdir()
            (folder / "model.safetensors").write_bytes(WEIGHTS)

        monkeypatch.setattr("rag.models.pulling.convert", convert)
        found = take(settings, gguf="tiny-Q8_0.gguf")
        manifest = read_manifest(found.path)
        assert manifest is not None
        digest = hashlib.sha256(several["tiny-Q8_0.gguf"]).hexdigest()
        assert manifest.made_from == {"tiny-Q8_0.gguf": digest}
        assert set(manifest.files) == {"config.json", "README.md", "model.safetensors"}
        assert hub.gets("tiny-Q4_K_M.gguf") == []
        verify(found)
        assert hidden(settings) == []

    def test_a_conversion_that_fails_is_done_again_without_the_download(
        self,
        several: dict[str, bytes],
        settings: Settings,
        hub: FakeHub,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fail(_: Path, folder: Path, *__: Any) -> None:
            folder.mkdir()
            raise ModelError("It could not be converted.")

        monkeypatch.setattr("rag.models.pulling.convert", fail)
        for _ in range(2):
            with pytest.raises(ModelError, match="could not be converted"):
                take(settings, gguf="tiny-Q8_0.gguf")
        assert len(hub.gets("tiny-Q8_0.gguf")) == 1
        assert list_models(settings.models_path, pytest.fail) == []


class TestLicence:
    def test_nobody_accepted_it(self, settings: Settings, hub: FakeHub) -> None:
        with pytest.raises(UsageError, match=r"Nobody accepted it.*--accept-licence apache-2\.0"):
            take(settings, licence=None)
        assert hub.gets("model.safetensors") == []

    def test_another_one_was_accepted(self, settings: Settings) -> None:
        with pytest.raises(UsageError, match="What was accepted is “mit”"):
            take(settings, licence="mit")

    def test_a_person_reads_and_decides(self, settings: Settings, hub: FakeHub) -> None:
        shown: list[Licence] = []

        def no(licence: Licence) -> bool:
            shown.append(licence)
            return False

        with pytest.raises(UsageError, match="was not accepted"):
            pull(settings, Wanted(ID), Heard(), no)
        assert shown[0].text == "Do as you like."
        assert hub.gets("model.safetensors") == []
        assert pull(settings, Wanted(ID), Heard(), lambda _: True).licence == "apache-2.0"

    def test_none_is_stated(self, settings: Settings, hub: FakeHub) -> None:
        hub.repos[ID].licence = None
        with pytest.raises(UsageError, match=r"No licence is stated.*--accept-licence unknown"):
            take(settings, licence=None)
        assert take(settings, licence="unknown").licence == "unknown"


class TestDisk:
    def test_too_little_room_is_told_before(
        self, settings: Settings, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        usage = type("Usage", (), {"free": 200_500_000})
        monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
        with pytest.raises(StorageError, match="Too little disk space"):
            take(settings)
        assert hub.gets("model.safetensors") == []

    def test_a_disk_that_fills_keeps_what_was_fetched(
        self, settings: Settings, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub.cuts["model.safetensors"] = [300_000]
        real, calls = os.fsync, []

        def fsync(descriptor: int) -> None:
            calls.append(os.fstat(descriptor).st_size)
            if calls[-1] > 300_000:
                raise OSError(errno.ENOSPC, "No space left on device")
            real(descriptor)

        monkeypatch.setattr("rag.models.downloading.os.fsync", fsync)
        with pytest.raises(StorageError, match="full"):
            take(settings)
        assert list_models(settings.models_path, pytest.fail) == []
        monkeypatch.undo()
        assert take(settings).revision == COMMIT


def test_two_pulls_of_one_model(settings: Settings) -> None:
    import fcntl

    stage = settings.models_path / f".pulling-maker--tiny-{COMMIT[:12]}"
    stage.mkdir(parents=True)
    with (stage / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Busy, match="Another process"):
            take(settings)


class TestCommand:
    def run(self, hub: FakeHub, home: Path, *words: str) -> Any:
        runner = CliRunner(env={"CLOISTER_HUB_URL": hub.address})
        return runner.invoke(main, ["--home", str(home), "models", *words])

    def test_pull_and_remove(self, hub: FakeHub, tmp_path: Path) -> None:
        refused = self.run(hub, tmp_path, "pull", ID)
        assert refused.exit_code == 2
        assert "--accept-licence apache-2.0" in refused.stderr
        done = self.run(hub, tmp_path, "pull", ID, "--accept-licence", "Apache-2.0", "--json")
        assert done.exit_code == 0, done.stderr
        (line,) = done.stdout.splitlines()
        assert json.loads(line)["models"][0]["revision"] == COMMIT
        assert "0 of 1 MB" in done.stderr or "1 of 1 MB" in done.stderr
        removed = self.run(hub, tmp_path, "remove", ID)
        assert removed.exit_code == 0
        assert self.run(hub, tmp_path, "remove", ID).exit_code == 2
        assert list((tmp_path / "models").iterdir()) == []

    def test_a_person_is_asked(
        self, hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(import_module("rag.commands.models.pull"), "on_terminal", lambda: True)
        runner = CliRunner(env={"CLOISTER_HUB_URL": hub.address})
        words = ["--home", str(tmp_path), "models", "pull", ID]
        no = runner.invoke(main, words, input="n\n")
        assert no.exit_code == 2
        assert "Do as you like." in no.stderr
        assert "has the licence “apache-2.0”" in no.stderr
        assert "was not accepted" in no.stderr
        yes = runner.invoke(main, words, input="y\n")
        assert yes.exit_code == 0, yes.stderr
        assert "Use it: cloister models use maker--tiny" in yes.stdout

    def test_an_unfinished_pull_can_be_removed(self, hub: FakeHub, tmp_path: Path) -> None:
        assert self.run(hub, tmp_path, "pull", ID).exit_code == 2
        assert len(list((tmp_path / "models").iterdir())) == 1
        assert self.run(hub, tmp_path, "remove", ID).exit_code == 0
        assert list((tmp_path / "models").iterdir()) == []

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
    def test_ended_in_the_middle_it_is_no_model_and_goes_on(
        self, how: signal.Signals, hub: FakeHub, tmp_path: Path
    ) -> None:
        hub.pause = 0.2
        process = subprocess.Popen(
            [sys.executable, "-m", "rag.cli", "--home", str(tmp_path), "models", "pull", ID,
             "--accept-licence", "apache-2.0"],
            env=os.environ | {"CLOISTER_HUB_URL": hub.address},
            stderr=subprocess.PIPE, text=True,
            # a shell's background job, as this test may be, ignores it
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        models = tmp_path / "models"
        deadline = time.monotonic() + 60
        while not (parts := list(models.rglob("model.safetensors.incomplete"))) or (
            parts[0].stat().st_size == 0
        ):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(how)
        _, told = process.communicate(timeout=30)
        assert process.returncode == (-9 if how == signal.SIGKILL else 130)
        if how == signal.SIGINT:
            assert "are kept; the same command goes on" in told
            assert "Traceback" not in told
        assert list_models(models, pytest.fail) == []
        assert all(path.name[0] == "." for path in models.iterdir())
        kept = parts[0].stat().st_size
        assert kept > 0
        hub.pause = 0.0
        hub.asked.clear()
        done = self.run(hub, tmp_path, "pull", ID, "--accept-licence", "apache-2.0")
        assert done.exit_code == 0, done.stderr
        assert hub.gets("model.safetensors") == [f"bytes={kept}-"]
        verify(find_model(models, ID))
        assert [path.name for path in models.iterdir()] == ["maker--tiny"]
