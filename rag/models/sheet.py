"""All that is known of one model of the catalogue, put together to be shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rag.errors import NotFound
from rag.models.catalogue import Model, entry_of, nearest
from rag.models.catalogue.records import CRITERIA
from rag.models.footprint import Machine, Need, needs, this_machine
from rag.models.licences import NOT_ADVICE, Licence, licences
from rag.models.listing import Here, models_here
from rag.records import to_json
from rag.settings import Settings


@dataclass(frozen=True, slots=True)
class Sheet:
    """A model with its licences in words, what it takes at each precision, and where it is."""

    model: Model
    weights: Licence
    code: Licence
    data: tuple[Licence, ...]
    needs: tuple[Need, ...]
    machine: Machine
    here: tuple[Here, ...]

    @property
    def in_use(self) -> bool:
        """Whether answers or searches are made with it now."""
        return any(one.in_use for one in self.here)


def sheet(settings: Settings, name: str) -> Sheet:
    """The sheet of a hub id, of an id without its organisation, or of a model's folder.

    Raises NotFound, which names the nearest ones.
    """
    machine = this_machine(settings.llm_device)
    here = tuple(models_here(settings, machine, lambda _: None))
    folder = next((one for one in here if one.name == name), None)
    model = entry_of((folder and folder.catalogue) or name)
    if model is None:
        raise NotFound(_unknown(name, folder, here))
    return Sheet(
        model=model,
        weights=licences()[model.weights_licence],
        code=licences()[model.code_licence],
        data=tuple(licences()[key] for key in model.data_licences),
        needs=needs(model, machine),
        machine=machine,
        here=tuple(one for one in here if one.catalogue == model.id),
    )


def sheet_json(found: Sheet) -> dict[str, Any]:
    """A sheet as plain JSON values, for a program."""
    model: dict[str, Any] = to_json(found.model)
    for name in ("weights_licence", "code_licence", "data_licences"):
        del model[name]
    return {
        **model,
        "openness": {name: found.model.openness.of(name) for name in CRITERIA},
        "licences": {
            "weights": to_json(found.weights),
            "code": to_json(found.code),
            "data": to_json(found.data),
        },
        "memory": to_json(found.needs),
        "machine": to_json(found.machine),
        "here": to_json(found.here),
        "in_use": found.in_use,
        "note": NOT_ADVICE,
    }


def _unknown(name: str, folder: Here | None, here: tuple[Here, ...]) -> str:
    if folder is not None:
        return (
            f"The model {name} is here (licence as recorded: {folder.licence}), but the catalogue "
            "does not know it. `cloister models list` shows what is known of it."
        )
    near = nearest(name, tuple(one.name for one in here))
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    return (
        f"The catalogue has no model {name}.{meant} `cloister models list` shows all that it has."
    )
