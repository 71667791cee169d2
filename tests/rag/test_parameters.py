"""How an answer is generated: who may set what, and what holds."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rag.catalog import Catalog
from rag.catalog.collections import (
    asked_parameters,
    change_parameters,
    create_collection,
    list_collections,
)
from rag.commands.ask import ask
from rag.commands.collections import collections
from rag.errors import UnknownCollection, UsageError
from rag.library import Library, open_catalog
from rag.parameters import (
    PARAMETERS,
    check_limits,
    check_parameters,
    read_parameters,
    used_parameters,
)
from rag.ranges import Range, read_range
from rag.records import Question
from rag.settings import Settings, load_settings
from rag.testing import FakeLLM, fake_library
from tests.ingest.reading import add_text, read_all

LEAVE = "Up to five unused days of leave may be carried over until 31 March."
ASKED = "How many unused days of leave may be carried over?"
PLAIN = Settings()


@pytest.mark.parametrize(
    ("text", "found", "shown"),
    [
        ("0..0.7", Range(0, 0.7), "0..0.7"),
        ("0.5", Range(0.5, 0.5), "0.5"),
        (1, Range(1, 1), "1"),
        (" 1 .. 20 ", Range(1, 20), "1..20"),
        (2.0, Range(2, 2), "2"),
    ],
)
def test_a_range_is_read_as_it_is_shown(text: Any, found: Range, shown: str) -> None:
    assert read_range(text) == found
    assert str(found) == shown
    assert read_range(shown) == found


@pytest.mark.parametrize("text", ["", "a", "1..", "..1", "2..1", "1..2..3", "nan", "0..inf", True])
def test_what_is_no_range_is_told(text: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        read_range(text)


def test_limits_are_settings(tmp_path: Path) -> None:
    file = tmp_path / "cloister.toml"
    file.write_text('[limits]\ntemperature = 0\ntop_k = "1..50"\n')
    settings = load_settings({"home": tmp_path}, {"CLOISTER_LIMITS_TOP_P": "0.5..0.9"})
    assert settings.limits_temperature.fixed
    assert (settings.limits_top_k, settings.limits_top_p) == (Range(1, 50), Range(0.5, 0.9))
    file.write_text("[limits]\ntemperature = 3\n")
    with pytest.raises(UsageError, match=r"limits\.temperature must be within 0\.\.2, not 3"):
        load_settings({"home": tmp_path}, {})
    file.write_text('[limits]\ntemperature = "low"\n')
    with pytest.raises(UsageError, match=r"number, or two as 0\.\.0\.7, not 'low'"):
        load_settings({"home": tmp_path}, {})


LIMITED = replace(
    PLAIN,
    limits_temperature=Range(0, 0.7),
    limits_top_k=Range(40, 40),
    limits_max_new_tokens=Range(16, 64),
    limits_system_prompt=Range(0, 10),
)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"temperature": 0.8}, r"temperature is 0.8; 0..0.7 is allowed \(limits.temperature\)"),
        ({"temperature": -0.1}, r"temperature is -0.1; 0..0.7 is allowed"),
        ({"top_k": 41}, r"top_k is 41; the operator fixed it at 40 \(limits.top_k\)"),
        ({"max_new_tokens": 65}, r"max_new_tokens is 65; 16..64"),
        ({"max_new_tokens": 15}, r"max_new_tokens is 15; 16..64"),
        ({"repetition_penalty": 0.4}, r"repetition_penalty is 0.4; 0.5..2"),
        ({"seed": -1}, r"seed is -1; 0..2147483647"),
        ({"seed": 2**31}, r"seed is 2147483648"),
        ({"system_prompt": "x" * 11}, r"system_prompt has 11 characters; 10 are allowed"),
        ({"temperature": float("nan")}, "temperature is no number"),
        ({"temperature": "1"}, "temperature is no number"),
        ({"top_k": 1.5}, "top_k is no whole number"),
        ({"seed": True}, "seed is no whole number"),
        ({"system_prompt": 7}, "system_prompt is no text"),
        ({"system_prompt": "\ud800"}, "half a character"),
        ({"typical_p": 1}, "typical_p is no parameter; there are temperature"),
    ],
)
def test_what_the_operator_does_not_allow_is_told(given: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        check_limits(given, LIMITED)


def test_a_system_prompt_can_be_ruled_out_for_questions_alone() -> None:
    settings = replace(PLAIN, limits_system_prompt=Range(0, 0))
    with pytest.raises(UsageError, match="none of one's own is"):
        check_limits({"system_prompt": "x"}, settings)
    check_limits({"system_prompt": "x"}, settings, of_collection=True)
    used = used_parameters({}, settings, {"system_prompt": "x"})
    assert used["system_prompt"] == "x"


def test_a_questions_own_come_before_the_collections_before_the_settings() -> None:
    settings = replace(PLAIN, llm_temperature=0.1, llm_max_new_tokens=100)
    of_collection = {"temperature": 0.2, "top_k": 20, "seed": 1}
    used = used_parameters({"temperature": 0.3}, settings, of_collection)
    assert used == {"temperature": 0.3, "max_new_tokens": 100, "top_k": 20, "seed": 1}
    assert used_parameters({}, settings, of_collection)["temperature"] == 0.2
    assert used_parameters({}, settings, {"top_k": 2, "seed": 3}) == {
        **{"temperature": 0.1, "max_new_tokens": 100, "top_k": 2, "seed": 3}
    }
    assert used_parameters({"temperature": None}, settings, of_collection)["temperature"] == 0.2


def test_without_a_draw_nothing_shapes_one() -> None:
    used = used_parameters({"top_k": 5, "top_p": 0.5, "seed": 1}, PLAIN, {"temperature": 0.0})
    assert used == {"temperature": 0.0, "max_new_tokens": 128}


def test_what_is_drawn_has_a_seed_of_its_own() -> None:
    seeds = {used_parameters({"temperature": 1}, PLAIN, {})["seed"] for _ in range(20)}
    assert len(seeds) == 20
    settings = replace(PLAIN, limits_seed=Range(5, 6))
    drawn = {used_parameters({"temperature": 1}, settings, {})["seed"] for _ in range(50)}
    assert drawn == {5, 6}


def test_defaults_are_brought_within_the_limits_and_fixed_ones_hold() -> None:
    used = used_parameters({}, LIMITED, {"temperature": 2.0, "max_new_tokens": 4000})
    assert (used["temperature"], used["top_k"], used["max_new_tokens"]) == (0.7, 40, 64)
    assert used_parameters({}, LIMITED, {"temperature": 0.5, "top_k": 3})["top_k"] == 40
    cold = replace(PLAIN, llm_temperature=0.9, limits_temperature=Range(0, 0))
    assert used_parameters({}, cold, {})["temperature"] == 0
    assert isinstance(used["max_new_tokens"], int)


def test_an_answer_is_not_asked_to_be_longer_than_it_may_be() -> None:
    with pytest.raises(UsageError, match="min_new_tokens is 129, more than max_new_tokens"):
        check_parameters({"min_new_tokens": 129}, PLAIN, {})
    with pytest.raises(UsageError, match="min_new_tokens is 9, more than max_new_tokens"):
        check_parameters({"min_new_tokens": 9}, PLAIN, {"max_new_tokens": 8})
    # the collection's wish gives way to the question's
    used = used_parameters({"max_new_tokens": 20}, PLAIN, {"min_new_tokens": 50})
    assert used["min_new_tokens"] == used["max_new_tokens"] == 20


def test_a_form_is_read() -> None:
    texts = {"temperature": " 0.5 ", "top_k": "40", "seed": "", "system_prompt": "Be brief."}
    assert read_parameters(texts) == {
        **{"temperature": 0.5, "top_k": 40, "system_prompt": "Be brief."}
    }
    for name, text in (("temperature", "warm"), ("top_k", "4.5"), ("seed", "0x1")):
        with pytest.raises(UsageError, match=f"{name} is “{text}”, which is no"):
            read_parameters({name: text})


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    FakeLLM.replies, FakeLLM.pause = [], 0.0
    library = fake_library(tmp_path)
    add_text(library, "handbook.txt", f"Welcome to us all.\n\n{LEAVE}")
    read_all(library)
    yield library
    library.close()


def _used(library: Library, question: Question) -> Any:
    *_, done = library.ask(question)
    return done.data["parameters"]


def test_a_collections_parameters_hold_where_it_alone_is_asked(library: Library) -> None:
    plain = {"temperature": 0.0, "max_new_tokens": 128}
    assert _used(library, Question(ASKED)) == plain
    change_parameters(library.catalog, "default", {"max_new_tokens": 32, "temperature": 0.0})
    # the only collection there is
    assert _used(library, Question(ASKED)) == {**plain, "max_new_tokens": 32}
    create_collection(library.catalog, "legal")
    assert _used(library, Question(ASKED)) == plain
    assert _used(library, Question(ASKED, ("default", "legal"))) == plain
    assert _used(library, Question(ASKED, ("default",)))["max_new_tokens"] == 32
    own = Question(ASKED, ("default",), parameters={"max_new_tokens": 16})
    assert _used(library, own)["max_new_tokens"] == 16


def test_the_model_is_given_what_the_record_says(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, Any]] = []
    real = FakeLLM.stream_complete

    def noted(self: FakeLLM, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        given.append({"prompt": prompt, **kwargs})
        return real(self, prompt, formatted, **kwargs)

    monkeypatch.setattr(FakeLLM, "stream_complete", noted)
    change_parameters(library.catalog, "default", {"system_prompt": "You are the clerk."})
    asked = {"temperature": 0.7, "top_k": 20, "repetition_penalty": 1.2, "seed": 7}
    used = _used(library, Question(ASKED, parameters=asked))
    assert used == {**asked, "max_new_tokens": 128, "system_prompt": "You are the clerk."}
    (call,) = given
    assert "You are the clerk." in call.pop("prompt")
    assert call == {**asked, "max_new_tokens": 128}


def test_what_is_not_allowed_is_told_before_anything_is_read(tmp_path: Path) -> None:
    library = fake_library(tmp_path, limits_temperature=Range(0, 0))
    with pytest.raises(UsageError, match="fixed it at 0"):
        library.ask(Question(ASKED, parameters={"temperature": 1.0}))
    with pytest.raises(UsageError, match="repetition"):
        library.ask(Question(ASKED, parameters={"repetition_penalty": 9.0}))
    library.close()


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = open_catalog(Settings(home=tmp_path))
    yield catalog
    catalog.close()


def test_collections_are_listed_and_changed(catalog: Catalog) -> None:
    create_collection(catalog, "legal")
    assert change_parameters(catalog, "legal", {"seed": 1, "top_k": 5}) == {"seed": 1, "top_k": 5}
    assert change_parameters(catalog, "legal", {"seed": None, "top_p": 0.5}) == {
        **{"top_k": 5, "top_p": 0.5}
    }
    rows = [(c.name, c.documents, dict(c.parameters)) for c in list_collections(catalog)]
    assert rows == [("default", 0, {}), ("legal", 0, {"top_k": 5, "top_p": 0.5})]
    assert asked_parameters(catalog, ["legal"]) == {"top_k": 5, "top_p": 0.5}
    for change in (change_parameters, lambda c, n, _: asked_parameters(c, [n])):
        with pytest.raises(UnknownCollection, match="legal"):
            change(catalog, "legall", {})


def test_changes_at_the_same_time_are_all_kept(catalog: Catalog) -> None:
    names = [p.name for p in PARAMETERS if p.kind is int]
    threads = [
        threading.Thread(target=change_parameters, args=(catalog, "default", {name: 5}))
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked_parameters(catalog, None) == dict.fromkeys(names, 5)


def test_the_commands_list_and_set(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, limits_temperature=Range(0, 0.5))

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(collections, arguments, obj=settings)

    done = run("set", "default", "--temperature", "0.2", "--top-k", "20", "--json")
    assert json.loads(done.stdout) == {
        **{"name": "default", "parameters": {"temperature": 0.2, "top_k": 20}, "model": ""}
    }
    assert "temperature 0.2, top-k 20" in run("list").stdout
    assert run("set", "default", "--unset", "top-k").stdout == "default: temperature 0.2\n"
    (row,) = json.loads(run("list", "--json").stdout)["collections"]
    assert row == {
        **{"name": "default", "documents": 0, "parameters": {"temperature": 0.2}, "model": ""}
    }
    for arguments, told in (
        (("set", "default", "--temperature", "0.9"), "0..0.5 is allowed"),
        (("set", "nowhere", "--top-k", "2"), "no collection “nowhere”"),
        (("set", "default"), "Nothing is given"),
        (("set", "default", "--top-k", "1", "--unset", "top-k"), "Leave one out"),
    ):
        assert told in str(run(*arguments).exception)
    assert "is not in the range" in run("set", "default", "--top-p", "7").stderr


def test_every_parameter_is_an_option_of_ask_and_of_a_collection() -> None:
    flags = {f"--{p.name.replace('_', '-')}" for p in PARAMETERS}
    for command in (ask, collections.commands["set"]):
        assert flags <= {flag for option in command.params for flag in option.opts}


def test_ask_gives_them_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Question] = []

    class Told(Exception):
        pass

    def opened(*_: Any, **__: Any) -> Any:
        raise Told

    def question(*arguments: Any, **given: Any) -> Question:
        asked.append(Question(*arguments, **given))
        return asked[-1]

    monkeypatch.setattr("rag.commands.ask.open_session", opened)
    monkeypatch.setattr("rag.commands.ask.Question", question)
    line = [ASKED, "--temperature", "0.5", "--top-p", "0.9", "--seed", "3", "--min-new-tokens", "2"]
    line += ["--repetition-penalty", "1.1", "--system-prompt", "Be brief.", "--folder", "hr"]
    done = CliRunner().invoke(ask, line, obj=Settings(home=tmp_path))
    assert isinstance(done.exception, Told)
    assert asked[0].parameters == {
        **{"temperature": 0.5, "top_p": 0.9, "min_new_tokens": 2, "repetition_penalty": 1.1},
        **{"seed": 3, "system_prompt": "Be brief."},
    }
    assert asked[0].filters.folder == "hr"
