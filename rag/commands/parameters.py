"""The options that say how an answer is generated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from rag.parameters import PARAMETERS, Parameter

C = TypeVar("C", bound=Callable[..., Any])


def parameter_options(command: C) -> C:
    """Give a command the options that `chosen_parameters` makes parameters of."""
    for parameter in reversed(PARAMETERS):
        flag = f"--{parameter.name.replace('_', '-')}"
        option = click.option(flag, parameter.name, type=_type(parameter), help=parameter.help)
        command = option(command)
    return command


def chosen_parameters(options: dict[str, Any]) -> Mapping[str, Any]:
    """The parameters that were given; takes them out of a command's options."""
    found = {parameter.name: options.pop(parameter.name) for parameter in PARAMETERS}
    return {name: value for name, value in found.items() if value is not None}


def _type(parameter: Parameter) -> click.ParamType[Any]:
    widest = parameter.widest
    if parameter.kind is int:
        return click.IntRange(int(widest.least), int(widest.most))
    if parameter.kind is float:
        return click.FloatRange(widest.least, widest.most)
    return click.STRING
