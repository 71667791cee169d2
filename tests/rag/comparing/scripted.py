"""A small library, questions on it, and models that answer as they are told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llama_index.core.base.llms.types import CompletionResponseGen
from pydantic import Field

from rag.evaluation.questions import Item, parse_questions
from rag.generation import Generator
from rag.library import Library
from rag.models.folder import find_model
from rag.prompting import NOT_SAID
from rag.records import ModelInfo
from rag.settings import Settings
from rag.testing import FakeLLM, fake_library
from tests.ingest.reading import add_text, read_all

HOURS = {
    "Auk": "07:40", "Bittern": "08:15", "Curlew": "09:05", "Dunlin": "09:50", "Eider": "10:25",
    "Fulmar": "11:10", "Gannet": "12:35", "Heron": "13:20", "Ibis": "14:45", "Knot": "15:30",
    "Lapwing": "16:55", "Merlin": "17:45",
}  # fmt: skip
FACTS = {
    f"When does the ferry {boat} leave?": (f"The ferry {boat} leaves at {hour}.", hour)
    for boat, hour in HOURS.items()
}


class Scripted(FakeLLM):
    """Writes what `known` has for the question of its prompt, else a line about a boat."""

    known: dict[str, str] = Field(default_factory=dict)
    asked: list[str] = Field(default_factory=list)

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        """A reply by the question."""
        self.asked.append(prompt)
        found = [reply for question, reply in self.known.items() if question in prompt]
        FakeLLM.replies = [*found, "The boat leaves at nine."][:1]
        return super().stream_complete(prompt, formatted, **kwargs)


GOOD = {question: f"{sentence[:-1]} [1]." for question, (sentence, _) in FACTS.items()}
DECLINING = dict.fromkeys(FACTS, NOT_SAID)


class Loader:
    """Loads by name what replies are known for; `loaded` and `closed` tell in which order."""

    def __init__(self, replies: Mapping[str, Mapping[str, str]]) -> None:
        self.replies = replies
        self.log: list[str] = []
        self.prompts: dict[str, list[str]] = {}

    def __call__(self, settings: Settings) -> Generator | None:
        name = settings.llm_model
        if name == "none":
            return None
        self.log.append(f"load {name}")
        llm = Scripted(known=dict(self.replies[name]), asked=[])
        self.prompts[name] = llm.asked
        folder = find_model(settings.models_path, name)
        info = ModelInfo(folder.name, folder.revision, "cpu", precision="float32")
        made = Generator(llm, info, lambda text: len(text) // 3 + 1, settings)
        made.close = lambda: self.log.append(f"close {name}")  # type: ignore[method-assign]
        return made


def make_library(home: Path, names: tuple[str, ...] = ("one", "two")) -> Library:
    """A loaded library with twelve departures in it, and folders that stand for models."""
    for name in names:
        folder = home / "models" / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({"model_type": "llama", "called": name}))
    library = fake_library(home, llm_model="none")
    add_text(library, "ferries.txt", "\n\n".join(sentence for sentence, _ in FACTS.values()))
    read_all(library)
    return library


def questions(most: int = 12) -> list[Item]:
    """So many of the questions, with their answers and evidence."""
    lines = [
        {
            "id": f"q{number}",
            "question": question,
            "answers": [hour],
            "evidence": [{"source": "ferries.txt", "page": 1, "quote": sentence}],
        }
        for number, (question, (sentence, hour)) in enumerate(FACTS.items())
    ]
    return parse_questions("\n".join(json.dumps(line) for line in lines[:most]), Path("q.jsonl"))
