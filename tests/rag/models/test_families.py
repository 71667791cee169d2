"""Every family of models through the whole path, each with a small model made on the spot.

What a test shows is kept as a property of it, from which `tools/families.py` makes the table
in docs/model-families.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rag.errors import ModelError
from rag.library import Library
from rag.models.adapter import (
    FORCED,
    AdapterRecord,
    hash_adapter,
    weights_fingerprint,
    write_record,
)
from rag.models.chat import Chat
from rag.models.folder import find_model
from rag.prompting import SYSTEM
from rag.records import Event, Passage, Question
from rag.testing import fake_library, fake_settings
from rag.tuning.network import Network
from tests.ingest.reading import add_text, read_all
from tests.rag.models.small import FAMILIES, Family, Small, make_small, overfit, written

HELD = "Up to five unused days of leave may be carried over until 31 March."
ASKED = "How many unused days of leave may be carried over?"
# not word for word: where it is shown it is no quote that stands in for the model's own text
ANSWER = "You may carry over up to five unused days of leave until 31 March. [1]"
OTHER = "You may carry over unused days of leave up to five until 31 March."
SHOWN = "You may carry over up to five unused days of leave until 31 March."

Ticks = Callable[[str, object], None]


@dataclass(frozen=True)
class Place:
    """A library with one document, what it finds for the question, and small models."""

    library: Library
    passages: list[Passage]
    models: Path
    made: dict[str, Small]

    def small(self, family: Family) -> Small:
        """The family's model, made when it is first asked for."""
        if family.name not in self.made:
            self.made[family.name] = make_small(family, self.models, ASKED, self.passages, ANSWER)
        return self.made[family.name]

    def ask(self, small: Small, **settings: Any) -> tuple[Any, list[Event]]:
        """The loaded LLM and the events of the answer, with a model's folder and these settings."""
        given = {"models": self.models, "llm_model": small.folder.name, "llm_device": "cpu"}
        given |= {"llm_precision": "float32"} | settings
        self.library.settings = fake_settings(self.library.settings.home, **given)
        self.library._answerer = None
        self.library.load()
        seat: Any = self.library.current_llm.seat
        return seat.generator._llm, list(self.library.ask(Question(ASKED)))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("families")
    library = fake_library(folder / "home", llm_model="none")
    add_text(library, "handbook.txt", f"Welcome to us all.\n\n{HELD}\n\nTea is in the kitchen.")
    read_all(library)
    passages = library.search(ASKED, limit=library.settings.retrieval_passages)
    yield Place(library, passages, folder / "models", {})
    library.close()


def _cases(quick: Collection[str]) -> list[Any]:
    """Every family; those that are not named only with the slow tests."""
    return [
        pytest.param(family, id=name, marks=[] if name in quick else [pytest.mark.slow])
        for name, family in FAMILIES.items()
    ]


@pytest.mark.parametrize("family", _cases([f.name for f in FAMILIES.values() if f.quick]))
def test_it_answers_through_the_whole_path(
    family: Family, place: Place, record_property: Ticks
) -> None:
    small = place.small(family)
    llm, events = place.ask(small)
    record_property("family", family.family)
    record_property("architecture", type(llm._model).__name__)
    record_property("tokenizer", family.tokenizer)
    record_property("form", family.template)
    assert type(llm._model).__name__ == small.architecture
    record_property("loads", "yes")
    answer, drafted = events[-1].data, _draft(events)
    assert llm._chat.template.name == family.template
    assert answer["usage"]["prompt_tokens"] == len(small.ids)
    assert all(text in llm._tokenizer.decode(small.ids) for text in (HELD, ASKED, SYSTEM))
    record_property("template", "yes")
    assert len(drafted) > 5
    assert "".join(drafted).strip().startswith(SHOWN)
    record_property("streams", len(drafted))
    # what the model wrote after its end is not there, nor was it waited for
    assert "".join(drafted).strip() == ANSWER
    assert answer["usage"]["completion_tokens"] < answer["parameters"]["max_new_tokens"]
    record_property("stops", family.stop)
    assert _cited(events) == (SHOWN, "supported", [HELD])
    assert answer["text"] == f"{SHOWN} [1]"
    record_property("cites", "supported")


def _cited(events: list[Event]) -> tuple[str, str, list[str]]:
    """The answer's only sentence, its support, and what is quoted for it."""
    answer = events[-1].data
    (sentence,) = answer["sentences"]
    return sentence["text"], sentence["support"], [c["quote"] for c in answer["citations"]]


def _draft(events: list[Event]) -> list[str]:
    return [event.data["text"] for event in events if event.name == "token"]


@pytest.mark.parametrize("family", _cases({"Llama-2-7b-chat-hf", "falcon-7b-instruct"}))
def test_it_answers_the_same_in_8_bits(
    family: Family, place: Place, record_property: Ticks
) -> None:
    llm, events = place.ask(place.small(family), llm_precision="int8")
    kinds = {type(module).__name__ for module in llm._model.modules()}
    assert "Int8Linear" in kinds
    assert llm._writer.batched
    assert _cited(events) == (SHOWN, "supported", [HELD])
    assert events[-1].data["model"]["quantization"] == "int8"
    record_property("int8", "int8")


@pytest.mark.parametrize("family", _cases({"Llama-2-7b-chat-hf"}))
def test_it_answers_the_same_in_4_bits(
    family: Family, place: Place, record_property: Ticks
) -> None:
    pytest.importorskip("bitsandbytes", reason="the extra `quantized` is not installed")
    if not family.four_bits:
        with pytest.raises(ModelError, match=r"no layers that bitsandbytes can hold.*int8"):
            place.ask(place.small(family), llm_precision="int4")
        return
    llm, events = place.ask(place.small(family), llm_precision="int4")
    assert "Linear4bit" in {type(module).__name__ for module in llm._model.modules()}
    assert "".join(_draft(events)).strip() == ANSWER
    assert _cited(events) == (SHOWN, "supported", [HELD])
    assert events[-1].data["model"]["quantization"] == "int4"
    record_property("int4", "int4")


@pytest.mark.parametrize("family", _cases({"Llama-2-7b-chat-hf"}))
def test_an_adapter_changes_what_it_answers(
    family: Family, place: Place, record_property: Ticks
) -> None:
    small = place.small(family)
    adapter = _adapter(family, small)
    llm, events = place.ask(small, llm_adapter=str(adapter))
    assert _cited(events) == (OTHER, "supported", [HELD])
    assert "".join(_draft(events)).strip() == f"{OTHER} [1]"
    assert events[-1].data["model"]["adapter"].startswith("adapter-")
    assert not any("lora" in name for name, _ in llm._model.named_parameters())
    record_property("adapter", "lora")


def _adapter(family: Family, small: Small) -> Path:
    """An adapter of the family's model that has it give the other answer."""
    base = find_model(small.folder.parent, small.folder.name)
    network = Network(base, "cpu", 8, 0)
    ids = written(family, Chat(network.tokenizer), f"{OTHER} [1]")
    overfit(network.model, network.parameters, small.ids, ids, rate=3e-3)
    folder = small.folder.parent / f"adapter-{family.name}"
    folder.mkdir()
    network.save(folder)
    fingerprint = weights_fingerprint(base)
    files = hash_adapter(folder)
    write_record(folder, AdapterRecord(base.name, "", fingerprint, FORCED, "1", files))
    return folder
