"""What licences permit, demand and forbid, in plain words; read from `licences.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

NOT_ADVICE = "This is not legal advice."

YES, CONDITIONS, NO, UNKNOWN = "yes", "conditions", "no", "unknown"
# each permission with what people call it
PERMISSIONS = {
    "commercial": "commercial use",
    "modification": "changing it",
    "redistribution": "passing it on",
    "fine_tuning": "fine-tuning it",
    "hosting": "hosting it for others",
    "outputs": "training other models on what it writes",
}
ANSWERS = {
    YES: "yes",
    CONDITIONS: "with conditions",
    NO: "no",
    UNKNOWN: "not known",
}
_FILE = Path(__file__).with_name("licences.toml")


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether a licence permits something (`yes`, `conditions`, `no`, `unknown`), in words."""

    answer: str
    words: str


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence. `open_source` says whether the Open Source Initiative approved it."""

    key: str
    name: str
    open_source: bool
    summary: str
    source: str
    commercial: Permission
    modification: Permission
    redistribution: Permission
    fine_tuning: Permission
    hosting: Permission
    outputs: Permission
    demands: tuple[str, ...]
    forbids: tuple[str, ...]

    @property
    def sellable(self) -> bool:
        """Whether commercial use is permitted, be it with conditions."""
        return self.commercial.answer in (YES, CONDITIONS)

    def permission(self, name: str) -> Permission:
        """One of `PERMISSIONS`."""
        found: Permission = getattr(self, name)
        return found


@lru_cache
def licences() -> Mapping[str, Licence]:
    """Every licence that the catalogue knows, by its key."""
    return parse_licences(tomllib.loads(_FILE.read_text("utf-8")))


def parse_licences(tables: Mapping[str, Any]) -> dict[str, Licence]:
    """Licences from the tables of the file. Raises ValueError where one is not as it must be."""
    return {key: _licence(key, table) for key, table in tables.items()}


def _licence(key: str, table: Mapping[str, Any]) -> Licence:
    wanted = {item.name for item in fields(Licence)} - {"key"}
    if set(table) != wanted:
        wrong = ", ".join(sorted(set(table) ^ wanted))
        raise ValueError(f"The licence {key} lacks these keys, or has them too much: {wrong}.")
    if not isinstance(table["open_source"], bool):
        raise ValueError(f"open_source of the licence {key} must be true or false.")
    if not str(table["source"]).startswith("https://"):
        raise ValueError(f"The source of the licence {key} must be an https address.")
    values: dict[str, Any] = {name: table[name] for name in wanted}
    for name in PERMISSIONS:
        values[name] = _permission(key, name, table[name])
    for name in ("demands", "forbids"):
        values[name] = tuple(_text(key, name, line) for line in table[name])
    for name in ("name", "summary", "source"):
        _text(key, name, table[name])
    return Licence(key=key, **values)


def _permission(key: str, name: str, value: Any) -> Permission:
    if not isinstance(value, list) or len(value) != 2 or value[0] not in ANSWERS:
        raise ValueError(f"{name} of the licence {key} must be [{' | '.join(ANSWERS)}, words].")
    return Permission(value[0], _text(key, name, value[1]))


def _text(key: str, name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} of the licence {key} must be words.")
    return value
