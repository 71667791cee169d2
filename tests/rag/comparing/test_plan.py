"""What is to be compared: named, found, and told apart from other comparisons."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from rag.catalog import Catalog
from rag.catalog.collections import change_parameters, create_collection
from rag.comparing.entries import choices, find_entries
from rag.comparing.plan import make_plan, spread
from rag.errors import UnknownCollection, UsageError
from rag.evaluation.questions import parse_questions
from rag.library import open_catalog
from rag.models.folder import MANIFEST, Manifest
from rag.models.hardware import Memory
from rag.settings import Settings
from rag.testing import fake_settings

ITEMS = parse_questions('{"question": "What is tea?", "answers": ["a drink"]}', Path("q.jsonl"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for name in ("one", "HuggingFaceTB--SmolLM2-135M-Instruct"):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "config.json").write_text(json.dumps({"called": name}))
    embedder = tmp_path / "models" / "finder"
    embedder.mkdir()
    (embedder / "config.json").write_text("{}")
    (embedder / "modules.json").write_text("[]")
    return fake_settings(tmp_path, llm_model="one")


@pytest.fixture
def catalog(settings: Settings) -> Iterator[Catalog]:
    catalog = open_catalog(settings)
    yield catalog
    catalog.close()


def test_what_cannot_be_compared_is_named_with_the_reason(settings: Settings) -> None:
    entries, skipped = find_entries(settings, ["one", "absent", "finder", "none", "one+absent"])
    assert [entry.name for entry in entries] == ["one", "none"]
    assert [one.name for one in skipped] == ["absent", "finder", "one+absent"]
    assert "no model “absent”" in skipped[0].reason
    assert "is an embedder" in skipped[1].reason
    assert "no adapter “absent”" in skipped[2].reason


def test_the_licence_is_the_catalogues(settings: Settings) -> None:
    (one, known), _ = find_entries(settings, ["one", "SmolLM2-135M-Instruct"])
    assert (one.licence, one.commercial) == ("unknown", "unknown")
    assert (known.name, known.commercial) == ("HuggingFaceTB/SmolLM2-135M-Instruct", "yes")
    assert known.licence == "Apache License 2.0"
    record = Manifest("one", "llm", "1", "mit", "here", 0, {})
    (settings.models_path / "one" / MANIFEST).write_text(json.dumps(asdict(record)))
    (one, _), _ = find_entries(settings, ["one", "none"])
    assert (one.licence, one.commercial) == ("MIT License", "yes")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["one"], "2 to 12"),
        (["one", "one"], "named twice"),
        (["one", "absent"], "Fewer than two of these models can be compared. absent: There is no"),
        (["SmolLM2-135M-Instruct", "HuggingFaceTB/SmolLM2-135M-Instruct"], "named twice"),
    ],
    ids=["one", "twice", "one is absent", "two names of one"],
)
def test_fewer_than_two_are_no_comparison(names: list[str], told: str, settings: Settings) -> None:
    with pytest.raises(UsageError, match=told.replace("12", r"\d+")):
        find_entries(settings, names)


def test_what_is_here_can_be_chosen(settings: Settings) -> None:
    found = {one.name: one.in_use for one in choices(settings)}
    assert found == {"none": False, "one": True, "HuggingFaceTB/SmolLM2-135M-Instruct": False}


def test_its_name_changes_with_what_decides_its_answers(
    settings: Settings, catalog: Catalog
) -> None:
    names = ("one", "none")
    plan = make_plan(settings, catalog, names, ITEMS, "q.jsonl")
    assert make_plan(settings, catalog, names, ITEMS, "renamed.jsonl").id == plan.id
    costly = replace(settings, cost_per_hour=3.0, server_port=1)
    assert make_plan(costly, catalog, names, ITEMS, "q.jsonl").id == plan.id
    create_collection(catalog, "other")  # so that all are not one, with its parameters
    own = [replace(ITEMS[0], collection="default")]
    others = [
        make_plan(settings, catalog, names[::-1], ITEMS, "q.jsonl"),
        make_plan(settings, catalog, names, [replace(ITEMS[0], answers=("x",))], "q.jsonl"),
        make_plan(replace(settings, llm_max_new_tokens=9), catalog, names, ITEMS, "q.jsonl"),
        make_plan(settings, catalog, names, ITEMS, "q.jsonl", ["default"]),
        make_plan(settings, catalog, names, own, "q.jsonl"),
    ]
    change_parameters(catalog, "default", {"temperature": 0.5})
    others.append(make_plan(settings, catalog, names, own, "q.jsonl"))
    (settings.models_path / "one" / "config.json").write_text('{"called": "two"}')
    others.append(make_plan(settings, catalog, names, ITEMS, "q.jsonl"))
    assert len({plan.id, *(other.id for other in others)}) == 8


@pytest.mark.parametrize(
    ("what", "other"),
    [
        ("__version__", "0.0.0"),
        ("fingerprint_of", lambda _: "0" * 12),
        ("memory_for", lambda _: Memory("cuda:0", "memory of the GPU of another machine", 0)),
    ],
    ids=["version", "calibration", "device"],
)
def test_what_another_version_or_machine_answers_is_another_comparison(
    what: str,
    other: object,
    settings: Settings,
    catalog: Catalog,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = make_plan(settings, catalog, ("one", "none"), ITEMS, "q.jsonl")
    assert make_plan(settings, catalog, ("one", "none"), ITEMS, "q.jsonl").id == plan.id
    monkeypatch.setattr(f"rag.comparing.plan.{what}", other)
    assert make_plan(settings, catalog, ("one", "none"), ITEMS, "q.jsonl").id != plan.id


def test_what_may_not_be_asked_is_refused_before_anything_is(
    settings: Settings, catalog: Catalog
) -> None:
    long = [replace(ITEMS[0], question="why " * 5000)]
    with pytest.raises(UsageError, match="“q_"):
        make_plan(settings, catalog, ("one", "none"), long, "q.jsonl")
    with pytest.raises(UnknownCollection):
        make_plan(settings, catalog, ("one", "none"), ITEMS, "q.jsonl", ["absent"])
    with pytest.raises(UsageError, match="no questions"):
        make_plan(settings, catalog, ("one", "none"), [], "q.jsonl")
    elsewhere = [replace(ITEMS[0], id="q7", collection="absent")]
    with pytest.raises(UnknownCollection, match=r"q\.jsonl, “q7”.*“absent”"):
        make_plan(settings, catalog, ("one", "none"), elsewhere, "q.jsonl")


def test_some_questions_are_spread_over_all() -> None:
    items = [replace(ITEMS[0], id=str(n)) for n in range(10)]
    assert [item.id for item in spread(items, 4)] == ["0", "2", "5", "7"]
    assert spread(items, None) == spread(items, 99) == items
