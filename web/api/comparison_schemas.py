"""What the REST interface takes and gives of comparisons of models."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, RootModel

from rag.comparing.records import Comparison
from rag.comparing.service import Progress
from web.api.inputs import Flag, Identifier, Input, Name, Text, encodable


def _encodable(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    encodable(json.dumps(lines, ensure_ascii=False))
    return lines


class ComparisonPath(BaseModel):
    """A comparison in an address."""

    comparison_id: Identifier


class ComparisonInput(Input):
    """Models to be compared, and the questions, each as a line of a file of `cloister evaluate`.

    Without `collections` all are asked; `again` asks anew what was answered before.
    """

    models: tuple[Annotated[Text, Field(min_length=1, max_length=300)], ...]
    questions: Annotated[list[dict[str, Any]], AfterValidator(_encodable)]
    name: Annotated[Text, Field(min_length=1, max_length=255)] = "questions.jsonl"
    collections: tuple[Name, ...] | None = Field(None, min_length=1)
    again: Flag = False


class ProgressOutput(RootModel[Progress]):
    """A comparison of models and how far it is."""


class ComparisonsOutput(BaseModel):
    """All comparisons, the newest first."""

    comparisons: list[Progress]


class ComparisonOutput(BaseModel):
    """How far a comparison is, and what came out once it has ended: no text of documents."""

    progress: Progress
    result: Comparison | None


# JSON or a form: the body is read by hand, so it is described by hand
COMPARISON_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["models", "questions"],
                    "additionalProperties": False,
                    "properties": {
                        "models": {"type": "array", "items": {"type": "string"}, "minItems": 2},
                        "questions": {"type": "array", "items": {"type": "object"}},
                        "name": {"type": "string", "default": "questions.jsonl"},
                        "collections": {"type": "array", "items": {"type": "string"}},
                        "again": {"type": "boolean", "default": False},
                    },
                }
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["models", "questions"],
                    "properties": {
                        "models": {"type": "array", "items": {"type": "string"}},
                        "questions": {"type": "string", "format": "binary"},
                        "collection": {"type": "array", "items": {"type": "string"}},
                        "again": {"type": "string", "enum": ["1"]},
                    },
                }
            },
        },
    }
}
