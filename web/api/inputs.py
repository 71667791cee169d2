"""What a JSON body is made of: types that take what the description says, and nothing like it."""

from __future__ import annotations

from types import NoneType
from typing import Annotated, Any, get_args

from flask import has_request_context, request
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    model_validator,
)

LONE_SURROGATE = "holds half of a character (a lone surrogate)"


def encodable(text: str) -> str:
    """The text. Raises ValueError for half a character: JSON can spell it, nothing can store it."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(LONE_SURROGATE) from error
    return text


def _is_number(value: object) -> object:
    """pydantic would take "5" for 5 and true for 1."""
    if isinstance(value, bool | str):
        raise ValueError("must be a number")
    return value


Text = Annotated[str, AfterValidator(encodable)]
Name = Annotated[Text, Field(min_length=1, max_length=63)]
Identifier = Annotated[Text, Field(min_length=1, max_length=80)]
Day = Annotated[Text, Field(max_length=10, description="A day, as 2026-01-31.")]
Flag = StrictBool
Whole = Annotated[int, BeforeValidator(_is_number)]
Number = Annotated[float, BeforeValidator(_is_number)]


class Input(BaseModel):
    """What a request gives: no field but those described; null is as good as left out."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _without_null(cls, given: Any) -> Any:
        """Without the fields that are null, where null says nothing of its own and none is due."""
        if not isinstance(given, dict):
            return given
        return {
            name: value for name, value in given.items() if value is not None or cls._needs(name)
        }

    @classmethod
    def _needs(cls, name: str) -> bool:
        field = cls.model_fields.get(name)
        return field is None or field.is_required() or NoneType in get_args(field.annotation)


class OptionalInput(Input):
    """A body that may be left out, since each of its fields may."""

    model_config = ConfigDict(openapi_extra={"required": False})  # type: ignore[typeddict-unknown-key]

    @model_validator(mode="before")
    @classmethod
    def _or_nothing(cls, given: Any) -> Any:
        empty = given is None and has_request_context() and not request.get_data()
        return {} if empty else given
