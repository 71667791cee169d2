"""`cloister models use`: another LLM answers from now on, without a restart."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import click

from rag.errors import Busy, ModelError
from rag.printing import json_line, printable
from rag.records import to_json
from rag.session import RemoteSession, open_server
from rag.settings import Settings

_LOOK_SECONDS = 0.5
_TOLD = {
    "checking": "looking whether there is memory for it",
    "draining": "letting the answers under way end, since there is no memory for both models",
    "loading": "verifying and loading it",
    "testing": "asking it a first question",
    "switching": "it answers new questions",
}


@click.command(epilog="Example: cloister models use SmolLM2-360M-Instruct")
@click.argument("model", metavar="[ID]", required=False)
@click.option(
    "--adapter",
    default="auto",
    show_default=True,
    metavar="NAME",
    help="A LoRA adapter that was made for it; auto: Cloister's own, if any; none: without.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line on stdout.")
@click.pass_obj
def use(settings: Settings, model: str | None, adapter: str, as_json: bool) -> None:
    """Let another model of the models folder answer, from now on and at the next start.

    The running server loads it beside the present one where memory allows, asks it a first question
    and only then lets it answer; if it fails, the present one stays. It is written into
    cloister.toml. Without a server it is checked in the same way and written. `none`: answer by
    quotes. Without ID it is told which one answers, and how far a change is.
    """
    server = open_server(settings)
    if model is None:
        from rag.model_change import ModelState

        state = server.model_state() if server else to_json(ModelState(None, None, None))
        _show(settings, state, server is not None, as_json)
        return
    if server is None:
        from rag.lock import take_library_lock
        from rag.model_change import use_here

        with take_library_lock(settings, "cloister models use"):
            info, notes = use_here(settings, model, adapter, lambda stage: _say(model, stage))
        _done(model, to_json(info), notes, as_json)
        return
    adapter = adapter or "none"  # as the server tells it
    server.use_model(model, adapter)
    state = _wait(server, model)
    last = state["last"]
    if last is None or (last["model"], last["adapter"]) != (model, adapter):
        raise Busy(
            "The server changed to another model meanwhile: cloister models use tells which."
        )
    if not last["ok"]:
        active = state["active"]
        stays = f" {active['id']} goes on answering." if active else ""
        raise ModelError(f"The LLM was not changed. {last['problem']}{stays}")
    _done(model, state["active"], last["notes"], as_json)


def _wait(server: RemoteSession, model: str) -> Mapping[str, Any]:
    """Follow a change until it has ended; the state then."""
    told = ""
    while True:
        state = server.model_state()
        if state["changing"] is None:
            return state
        if state["changing"]["stage"] != told:
            told = state["changing"]["stage"]
            _say(model, told)
        time.sleep(_LOOK_SECONDS)


def _say(model: str, stage: str) -> None:
    click.echo(printable(f"{model}: {_TOLD.get(stage, stage)} …"), err=True)


def _done(model: str, active: Mapping[str, Any] | None, notes: Any, as_json: bool) -> None:
    for note in notes:
        click.echo(printable(note), err=True)
    if as_json:
        click.echo(json_line({"model": model, "active": active, "notes": list(notes)}))
    else:
        click.echo(printable(f"{_told(active)} answers from now on."))


def _show(settings: Settings, state: Mapping[str, Any], served: bool, as_json: bool) -> None:
    row = {"served": served, "setting": settings.llm_model, **state}
    if as_json:
        click.echo(json_line(row))
        return
    if not served:
        adapter = f", adapter {settings.llm_adapter or 'none'}"
        click.echo(printable(f"No server runs. The setting is {settings.llm_model}{adapter}."))
        return
    click.echo(printable(f"{_told(state['active'])} answers."))
    if changing := state["changing"]:
        _say(changing["model"], changing["stage"])
    if (last := state["last"]) and not last["ok"]:
        click.echo(printable(f"The last change, to {last['model']}, failed: {last['problem']}"))


def _told(active: Mapping[str, Any] | None) -> str:
    if active is None or active["id"] == "none":
        return "No LLM"
    parts = [f"{active['id']} (revision {active['revision'] or 'not recorded'}"]
    parts += [str(active[name]) for name in ("precision", "device") if active.get(name)]
    parts += [f"adapter {active['adapter']}"] if active.get("adapter") else []
    return ", ".join(parts) + ")"
