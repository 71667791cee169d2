"""Model folders: found, known by their checksums, verified."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rag.errors import ModelError
from rag.models.folder import (
    MANIFEST,
    Manifest,
    find_model,
    fingerprint,
    hash_files,
    list_models,
    read_manifest,
    verify,
    write_manifest,
)


def make_model(folder: Path, manifest: bool = True, **files: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in {"config.json": "{}", "model.safetensors": "weights", **files}.items():
        (folder / name).write_text(text)
    if manifest:
        hashes = hash_files(folder)
        found = Manifest(folder.name, "llm", fingerprint(hashes), "MIT", "a test", 0, hashes)
        write_manifest(folder, found)
    return folder


def test_found_by_name_path_and_hub_id(tmp_path: Path) -> None:
    plain = make_model(tmp_path / "models/plain")
    make_model(tmp_path / "models/org--name")
    models = tmp_path / "models"
    assert find_model(models, "plain").path == plain
    assert find_model(models, str(plain)).path == plain
    found = find_model(models, "org/name")
    assert (found.path.name, found.licence, found.task) == ("org--name", "MIT", "llm")
    assert find_model(models, f"org/name@{found.revision}") == found


def test_found_without_its_organisation_where_it_is_the_only_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models"
    one = make_model(models / "org--name")
    make_model(tmp_path / "name")
    monkeypatch.chdir(tmp_path)  # what lies there is not meant
    assert find_model(models, "name").path == one
    assert find_model(models, f"name@{find_model(models, 'name').revision}").path == one
    make_model(models / ".hidden--name")
    assert find_model(models, "name").path == one
    monkeypatch.chdir(models)
    make_model(models / "more--name")
    with pytest.raises(ModelError, match="not in the models folder"):
        find_model(models, "name")
    exact = make_model(models / "name")
    assert find_model(models, "name").path == exact


def test_another_revision_is_refused(tmp_path: Path) -> None:
    make_model(tmp_path / "org--name")
    with pytest.raises(ModelError, match=r"in revision .*, not main"):
        find_model(tmp_path, "org/name@main")


@pytest.mark.parametrize("name", ["absent", "org/absent", "/nowhere/at/all", "absent@1"])
def test_a_missing_model_says_how_to_fetch_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError) as raised:
        find_model(tmp_path, name)
    assert "cloister models add starter" in str(raised.value)
    assert "make setup" in str(raised.value)
    assert str(tmp_path) not in str(raised.value)


@pytest.mark.parametrize("name", ["", ".", "..", " ", "@main"])
def test_no_name_is_no_model(tmp_path: Path, name: str) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="No model is named"):
        find_model(tmp_path, name)


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    with pytest.raises(ModelError, match=r"no config\.json"):
        find_model(tmp_path, "notes")


def test_whole_folder_is_verified(tmp_path: Path) -> None:
    make_model(tmp_path / "m")
    (tmp_path / "m" / "README.md").write_text("read by nobody")
    verify(find_model(tmp_path, "m"))


def test_one_changed_byte_is_found(tmp_path: Path) -> None:
    make_model(tmp_path / "m")
    (tmp_path / "m/model.safetensors").write_text("Weights")
    with pytest.raises(ModelError, match=r"model\.safetensors .* changed"):
        verify(find_model(tmp_path, "m"))


def test_missing_file_is_found(tmp_path: Path) -> None:
    make_model(tmp_path / "m")
    (tmp_path / "m/config.json").unlink()
    with pytest.raises(ModelError, match=r"lacks its file config\.json"):
        verify(find_model(tmp_path, "m"))


@pytest.mark.parametrize("name", ["adapter.safetensors", "adapter_config.json", "modeling.py"])
def test_unlisted_file_is_found(tmp_path: Path, name: str) -> None:
    make_model(tmp_path / "m")
    (tmp_path / "m" / name).write_text("more")
    with pytest.raises(ModelError, match="not fetched with it"):
        verify(find_model(tmp_path, "m"))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt"])
def test_pickles_alone_are_refused(tmp_path: Path, name: str) -> None:
    folder = make_model(tmp_path / "m", manifest=False, **{name: "pickle"})
    verify(find_model(tmp_path, "m"))  # beside safetensors no loader takes them
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="could run code"):
        verify(find_model(tmp_path, "m"))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"name": 1}', "{"])
def test_damaged_manifest_is_an_error(tmp_path: Path, text: str) -> None:
    make_model(tmp_path / "m")
    (tmp_path / "m" / MANIFEST).write_text(text)
    with pytest.raises(ModelError, match="is damaged"):
        find_model(tmp_path, "m")


def test_fingerprint_without_manifest_follows_the_content(tmp_path: Path) -> None:
    make_model(tmp_path / "a", manifest=False)
    make_model(tmp_path / "b", manifest=False)
    first = find_model(tmp_path, "a").revision
    assert len(first) == 12
    assert find_model(tmp_path, "b").revision == first
    (tmp_path / "b/model.safetensors").write_text("Weights")
    assert find_model(tmp_path, "b").revision != first


def test_fingerprint_tells_names_apart() -> None:
    assert fingerprint({"a": "1", "b": "2"}) == fingerprint({"b": "2", "a": "1"})
    assert fingerprint({"a": "1", "b": "2"}) != fingerprint({"a": "2", "b": "1"})


def test_list_models_skips_what_is_no_model(tmp_path: Path) -> None:
    make_model(tmp_path / "b")
    make_model(tmp_path / "a", manifest=False)
    make_model(tmp_path / ".fetching-x")
    (tmp_path / "notes").mkdir()
    assert [(f.name, bool(f.revision)) for f in list_models(tmp_path, pytest.fail)] == [
        ("a", False),
        ("b", True),
    ]
    assert list_models(tmp_path / "absent", pytest.fail) == []


def test_a_model_with_a_damaged_record_is_named_and_the_others_are_listed(tmp_path: Path) -> None:
    for name in ("sound", "torn"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    (tmp_path / "torn" / MANIFEST).write_text('{"name": ')
    told: list[ModelError] = []
    assert [folder.name for folder in list_models(tmp_path, told.append)] == ["sound"]
    (error,) = told
    assert "torn is damaged" in str(error)


def test_manifest_survives_a_round_trip(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m")
    manifest = read_manifest(folder)
    assert manifest is not None
    assert json.loads((folder / MANIFEST).read_text())["files"] == manifest.files


def test_a_record_of_an_older_version_is_read(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m")
    record = json.loads((folder / MANIFEST).read_text())
    for name in ("made_from", "licence_url", "accepted_by", "accepted_at", "fetched_at"):
        del record[name]
    (folder / MANIFEST).write_text(json.dumps(record))
    manifest = read_manifest(folder)
    assert manifest is not None
    assert (manifest.accepted_by, manifest.made_from) == ("", {})
    verify(find_model(tmp_path, "m"))


@pytest.mark.parametrize("manifest", [True, False])
def test_a_model_that_needs_code_is_refused(manifest: bool, tmp_path: Path) -> None:
    config = '{"model_type": "odd", "auto_map": {"AutoConfig": "code.Config"}}'
    make_model(tmp_path / "m", manifest, **{"config.json": config})
    with pytest.raises(ModelError, match="needs code of its own"):
        verify(find_model(tmp_path, "m"))
