"""The catalogue: whole, sourced, and refused where an entry is not as it must be."""

from __future__ import annotations

import copy
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from rag.models import catalogue as package
from rag.models.catalogue import Model, catalogue, entry_of, families, nearest
from rag.models.catalogue.reading import parse_family, read_catalogue
from rag.models.catalogue.records import CRITERIA, GROUPS, NO_TEMPLATE, OWN_TEMPLATE
from rag.models.licences import PERMISSIONS, licences, parse_licences
from rag.models.starter import STARTERS
from rag.settings import choices_of, load_settings

FILES = Path(package.__file__).parent
# the families that people ask about
ASKED_FOR = """Llama 1, OpenLLaMA, Llama 2, Llama 3, Mistral, Falcon, OLMo, BLOOM, Dolly, Alpaca,
Vicuna, Phi, Qwen2.5, Qwen3, Gemma, gpt-oss, SmolLM, Granite, MiniLM, BGE, E5, GTE"""


@pytest.fixture
def tables() -> dict[str, Any]:
    """A file as it is, to be spoilt."""
    return tomllib.loads((FILES / "gpt_oss.toml").read_text("utf-8"))


def test_every_family_is_there() -> None:
    assert {name.strip() for name in ASKED_FOR.split(",")} <= set(families())


@pytest.mark.parametrize(
    "model_id",
    [
        "elyza/ELYZA-japanese-Llama-2-7b-instruct",
        "TencentARC/LLaMA-Pro-8B",
        "BioMistral/BioMistral-7B",
        "nvidia/OpenMath-Mistral-7B-v0.1-hf",
        "OpenAssistant/falcon-40b-sft-mix-1226",
        "nomic-ai/gpt4all-falcon",
        "microsoft/phi-1_5",
        "bigscience/bloomz-7b1",
        "mistralai/Mixtral-8x7B-Instruct-v0.1",
    ],
)
def test_tunes_and_relatives_are_there(model_id: str) -> None:
    assert entry_of(model_id) is not None


def test_every_fact_has_a_source() -> None:
    for model in catalogue():
        wanted = {group for group in GROUPS if group != "languages" or model.languages}
        assert wanted <= set(model.sources), model.id
        assert all(model.sources.values()), model.id


# licence and commercial use, as the licences' own texts have it
LICENSED = {
    "huggyllama/llama-7b": ("llama-1", "no"),
    "tatsu-lab/alpaca-7b-wdiff": ("llama-1", "no"),
    "lmsys/vicuna-13b-v1.3": ("llama-1", "no"),
    "lmsys/vicuna-13b-v1.5": ("llama-2", "conditions"),
    "elyza/ELYZA-japanese-Llama-2-7b-instruct": ("llama-2", "conditions"),
    "meta-llama/Llama-3.2-1B-Instruct": ("llama-3.2", "conditions"),
    "tiiuae/falcon-40b-instruct": ("Apache-2.0", "yes"),
    "tiiuae/falcon-180B-chat": ("falcon-180b", "conditions"),
    "bigscience/bloom": ("bigscience-rail-1.0", "conditions"),
    "google/gemma-3-4b-it": ("gemma", "conditions"),
    "microsoft/phi-1_5": ("MIT", "yes"),
    "Qwen/Qwen2.5-3B-Instruct": ("qwen-research", "no"),
    "Qwen/Qwen2.5-7B-Instruct": ("Apache-2.0", "yes"),
    "Qwen/Qwen2.5-72B-Instruct": ("qwen", "conditions"),
    "databricks/dolly-v2-12b": ("MIT", "yes"),
    "openai/gpt-oss-20b": ("Apache-2.0", "yes"),
}


@pytest.mark.parametrize("model_id", LICENSED)
def test_what_may_be_sold_is_told(model_id: str) -> None:
    model = entry_of(model_id)
    assert model is not None
    licence = licences()[model.weights_licence]
    assert (licence.key, licence.commercial.answer) == LICENSED[model_id]


def test_falcon_180b_may_not_be_hosted_and_llama_2_may_not_teach() -> None:
    assert licences()["falcon-180b"].hosting.answer == "no"
    assert licences()["Apache-2.0"].hosting.answer == "yes"
    assert licences()["llama-2"].outputs.answer == "no"
    assert licences()["llama-3.1"].outputs.answer == "conditions"


def test_weights_are_open_only_under_an_open_licence_and_without_a_gate() -> None:
    for model in catalogue():
        if model.openness.weights == "open":
            assert licences()[model.weights_licence].open_source, model.id
        else:
            licence = licences()[model.weights_licence]
            assert not licence.open_source or model.gated == "yes", model.id


def test_a_template_is_called_as_the_setting_calls_it(tmp_path: Path) -> None:
    named = {model.template for model in catalogue()} - {NO_TEMPLATE, OWN_TEMPLATE}
    assert named <= set(choices_of("llm_template"))
    for name in named:
        made = load_settings({"home": tmp_path}, {"CLOISTER_LLM_TEMPLATE": name})
        assert made.llm_template == name


def test_the_starter_pair_is_described_as_it_is(models_path: Path) -> None:
    for starter in STARTERS:
        model = entry_of(starter.name)
        assert model is not None
        assert (model.task, model.weights_licence) == (starter.task, starter.licence)
        real = json.loads((models_path / starter.name / "config.json").read_text("utf-8"))
        assert {key: real.get(key) for key in model.config} == dict(model.config)


def test_found_by_id_and_by_name_in_any_case() -> None:
    whole = entry_of("Qwen/Qwen3-8B")
    assert whole is not None
    assert whole == entry_of("qwen3-8b") == entry_of("Qwen/Qwen3-8B@main")
    assert entry_of("Qwen") is None


def test_the_nearest_are_named() -> None:
    assert nearest("qwen3-8")[0] == "Qwen/Qwen3-8B"
    assert "tiiuae/falcon-7b-instruct" in nearest("falcon-7b")
    assert nearest("my-own-model", ("my-own-modell",)) == ["my-own-modell"]
    assert nearest("zzzzzzzz") == []


def test_a_language_is_known_by_its_first_part() -> None:
    model = entry_of("Qwen/Qwen3-8B")
    assert model is not None
    assert model.speaks("pl")
    assert model.speaks("PL-pl")
    assert not model.speaks("p")


@pytest.mark.parametrize(
    ("where", "name", "value", "told"),
    [
        ("models", "parametres", 1, "there is no key parametres"),
        ("models", "parameters", "7B", "parameters must be of type int"),
        ("models", "parameters", True, "parameters must be of type int"),
        ("models", "active_parameters", 10**13, "cannot be so"),
        ("models", "id", "gpt-oss", "id cannot be 'gpt-oss'"),
        ("models", "config", {}, "config must have model_type"),
        ("common", "weights_licence", "Apache", "licence Apache is none of"),
        ("common", "template", "chat-ml", "template chat-ml is none of"),
        ("common", "gated", "maybe", "gated maybe is none of"),
        ("common", "released", "August 2025", "cannot be 'August 2025'"),
        ("common", "languages", ["English"], "languages cannot be 'English'"),
        ("openness", "weights", "libre", "openness libre is none of"),
        ("openness", "licence", "open", "there is no key licence"),
        ("sources", "licence", [], "a group of sources is empty"),
        ("sources", "licence", ["the card"], "sources cannot be 'the card'"),
        ("sources", "licence", None, "licence must be given"),
        ("sources", "languages", None, "languages must be given"),
        ("openness", "metrics", None, "metrics must be given"),
        ("common", "data", None, "data must be given"),
        ("head", "checked", None, "checked must be given"),
        ("head", "note", "x", "there is no key note"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_place(
    tables: dict[str, Any], where: str, name: str, value: Any, told: str
) -> None:
    common = tables["common"]
    places = {"head": tables, "common": common, "models": tables["models"][0]}
    place = places.get(where) or common[where]
    if value is None:
        del place[name]
    else:
        place[name] = value
    with pytest.raises(ValueError, match=r"^made\.toml") as raised:
        list(parse_family(tables, "made.toml"))
    assert told in str(raised.value)


def test_the_same_name_twice_is_refused(tmp_path: Path) -> None:
    text = (FILES / "gpt_oss.toml").read_text("utf-8")
    (tmp_path / "a.toml").write_text(text)
    (tmp_path / "b.toml").write_text(text.replace("openai/", "another/"))
    with pytest.raises(ValueError, match=r"b\.toml: another/gpt-oss-20b is there twice"):
        list(read_catalogue(tmp_path))


def test_a_wrong_licence_is_refused() -> None:
    tables = tomllib.loads((FILES.parent / "licences.toml").read_text("utf-8"))
    assert set(parse_licences(tables)["MIT"].demands) == {
        "Pass on the copyright notice and the licence with copies."
    }
    for name, value in {
        "source": "opensource.org",
        "commercial": ["perhaps", "Any use."],
        "hosting": ["yes", " "],
        "open_source": "yes",
        "demands": [""],
        "costs": "nothing",
    }.items():
        spoilt = {"MIT": {**tables["MIT"], name: value}}
        with pytest.raises(ValueError, match="licence MIT"):
            parse_licences(spoilt)
    del tables["MIT"]["forbids"]
    with pytest.raises(ValueError, match="forbids"):
        parse_licences(tables)


def test_every_licence_says_all_in_words() -> None:
    for licence in licences().values():
        for name in PERMISSIONS:
            assert licence.permission(name).words.endswith("."), (licence.key, name)
    assert set(CRITERIA) == {
        "training_data",
        "weights",
        "training_code",
        "evaluation_code",
        "metrics",
    }


def count(model: Model, layers: int) -> int:
    """How many parameters transformers gives a model of so many layers."""
    import torch
    from transformers import (
        AutoConfig,
        AutoModel,
        AutoModelForCausalLM,
        AutoModelForImageTextToText,
    )

    keys = copy.deepcopy(dict(model.config))
    kind = keys.pop("model_type")
    text = keys.get("text_config", keys)
    text["n_layer" if "n_layer" in text else "num_hidden_layers"] = layers
    builder: Any = AutoModel if model.task == "embedder" else AutoModelForCausalLM
    builder = AutoModelForImageTextToText if "vision_config" in keys else builder
    with torch.device("meta"):
        made = builder.from_config(AutoConfig.for_model(kind, **keys))
    return sum(parameter.numel() for parameter in made.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("family", families())
def test_parameters_are_those_of_the_configuration(family: str) -> None:
    """What transformers makes of each `config`, without weights, has as many parameters."""
    for model in catalogue():
        if model.family == family:
            text = model.config.get("text_config", model.config)
            layers = text.get("n_layer") or text["num_hidden_layers"]
            one, two = count(model, 1), count(model, 2)
            assert one + (layers - 1) * (two - one) == model.parameters, model.id
