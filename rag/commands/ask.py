"""`cloister ask`: a question answered on the terminal, with its citations."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from rag.catalog_questions import catalog_question
from rag.commands.filtering import chosen, filter_options
from rag.commands.parameters import chosen_parameters, parameter_options
from rag.disagreement import introduced
from rag.printing import json_line, printable
from rag.records import Question
from rag.session import open_session
from rag.settings import Settings

_LABELS = {"supported": "", "quoted": " (quoted)", "unsupported": " (unsupported)", "catalog": ""}


@click.command(epilog='Example: cloister ask "How many days of leave may I carry over?"')
@click.argument("question")
@click.option("--collection", "collections", multiple=True, help="Ask only this collection.")
@click.option(
    "--model",
    default="",
    help="Model of the models folder that writes the answer: NAME, NAME+ADAPTER, or none.",
)
@filter_options
@parameter_options
@click.option("--json", "as_json", is_flag=True, help="Print the answer record as one JSON line.")
@click.pass_obj
def ask(
    settings: Settings,
    /,
    question: str,
    collections: tuple[str, ...],
    model: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Answer QUESTION from the documents, with citations that can be checked."""
    parameters = chosen_parameters(options)
    asked = Question(
        question,
        collections or None,
        parameters=parameters,
        filters=chosen(options),
        model=model,
    )
    answer: Mapping[str, Any] = {}
    about_library = None if asked.filters.documents else catalog_question(question)
    if not as_json:
        doing = "Looking into the catalog" if about_library else "Reading the documents"
        click.echo(f"{doing} …", err=True)
    # what has no topic is answered from the catalog alone, if it is sure to be about the library
    llm = about_library is None or not about_library.settled
    indexes = llm or bool(about_library and about_library.topic)
    with open_session(settings, "cloister ask", llm, indexes, asked) as session:
        for name, data in session.ask(asked):
            if name == "loading" and not as_json:
                click.echo(f"Loading {printable(data['model'])} …", err=True)
            if name == "done":
                answer = data
    if as_json:
        click.echo(json_line(answer))
    else:
        _show(answer)
    sys.stdout.flush()


def _show(answer: Mapping[str, Any]) -> None:
    if answer["abstained"]:
        click.secho(answer["text"], bold=True)
        for passage in answer["passages"][:3]:
            click.echo(f"  near it: {_where(passage)}")
    for sentence in answer["sentences"]:
        marks = "".join(f"[{n}]" for n in sentence["citations"])
        line = f"{printable(sentence['text'])} {marks}".rstrip()
        click.echo(f"{line}{_LABELS[sentence['support']]}")
    for citation in answer["citations"]:
        quote = printable(" ".join(citation["quote"].split()))
        click.echo(f"  [{citation['n']}] {_where(citation)}: “{quote}”")
    for other in answer.get("disagreements", ()):
        quote = printable(" ".join(other["quote"].split()))
        click.echo(f"  {printable(introduced(other))}: “{quote}” ({_where(other)})")
    seconds = answer["timings_ms"]["total"] / 1000
    if answer.get("answered_from") == "catalog":
        click.secho(f"  from the catalog, {seconds:.1f} s", dim=True)
        return
    made_by = answer["model"]
    revision = (made_by.get("revision") or "")[:12]
    model = f"{made_by['id']}@{revision}" if revision else made_by["id"]
    if adapter := made_by.get("adapter"):
        model += f", adapter {adapter}"
    if made_by["id"] == "none":
        model = "no LLM"
    click.secho(
        f"  {printable(model)}, {seconds:.1f} s, confidence {answer['confidence']:.2f}", dim=True
    )


def _where(place: Mapping[str, Any]) -> str:
    return f"{printable(place['source'])}, page {place['page']}"
