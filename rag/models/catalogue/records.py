"""The records of the catalogue, and what its words mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rag.models.templates import OWN

LLM, EMBEDDER = "llm", "embedder"

OPEN, PARTLY, CLOSED, UNKNOWN = "open", "partly", "closed", "unknown"
# what the Open Source Initiative looks at, with what people call it
CRITERIA = {
    "training_data": "training data",
    "weights": "weights",
    "training_code": "training code",
    "evaluation_code": "evaluation code",
    "metrics": "metrics",
}
# how a model is told who speaks, where that is no name of `llm.template`: a model that continues a
# text, or an embedder; and a form that only the model's own tokenizer has
NO_TEMPLATE, OWN_TEMPLATE = "none", OWN
TEMPLATE_WORDS = {OWN_TEMPLATE: "its tokenizer's own, which auto takes"}
GATED = {
    "yes": "only after an application or an agreement on the hub",
    "no": "no",
    "unknown": "not known",
}
# stands beside the month in which sources were named: an address is where a fact is to be found,
# and no record tells which of them were read
SOURCES_NOTE = "Not every one was read: check the licence with its own text before you rely on it."
# the groups of facts that have sources
GROUPS = ("facts", "licence", "data", "languages", "openness", "config")


@dataclass(frozen=True, slots=True)
class Openness:
    """How open each part of a model is: `open`, `partly`, `closed` or `unknown`.

    Weights are open under a licence that the Open Source Initiative approved, for whoever asks;
    partly where there are further conditions or a gate. Metrics are published scores.
    """

    training_data: str
    weights: str
    training_code: str
    evaluation_code: str
    metrics: str

    def of(self, criterion: str) -> str:
        """One of `CRITERIA`."""
        found: str = getattr(self, criterion)
        return found


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the catalogue.

    `parameters` counts all of them, `active_parameters` those that a token of a mixture of experts
    meets (None: all). `context` is in tokens, `released` a year and month. `template` is a name
    that `llm.template` knows, or `NO_TEMPLATE` or `OWN_TEMPLATE`. `languages` (BCP 47) are those
    that its makers name; empty where they name none, and `languages_words` says what they say.
    `weights_licence` and `data_licences` are keys of the licences; `code_licence` is that of the
    architecture's code in transformers. `config` holds the keys of the hub's config.json that
    decide how much memory it takes. `sources` has addresses for each group of facts, named in the
    month `checked`: not each of them was read then.
    """

    id: str
    family: str
    developer: str
    task: str
    parameters: int
    active_parameters: int | None
    context: int
    template: str
    released: str
    weights_licence: str
    code_licence: str
    data: str
    data_licences: tuple[str, ...]
    gated: str
    languages: tuple[str, ...]
    languages_words: str
    openness: Openness
    notes: tuple[str, ...]
    config: Mapping[str, Any]
    sources: Mapping[str, tuple[str, ...]]
    checked: str

    @property
    def name(self) -> str:
        """Its id without the organisation."""
        return self.id.rpartition("/")[2]

    def speaks(self, tag: str) -> bool:
        """Whether its makers name a language; `de` is named by `de-CH` and the other way round."""
        wanted = tag.casefold().split("-")[0]
        return any(one.casefold().split("-")[0] == wanted for one in self.languages)
