"""The forms of conversations, and which of them a model was trained in."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from rag.errors import UsageError

AUTO, OWN, PLAIN = "auto", "own", "plain"


@dataclass(frozen=True, slots=True)
class Template:
    """One form; `templates.toml` says what its fields mean. An empty `template` is the tokenizer's
    own.
    """

    name: str
    source: str = ""
    template: str = ""
    tokens: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    merges: bool = False
    stops: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    inline: bool = False
    opens: str = ""
    closes: tuple[str, ...] = ()


@lru_cache
def templates() -> Mapping[str, Template]:
    """Every form of `templates.toml`, by name, in its order."""
    tables = tomllib.loads((files("rag.models") / "templates.toml").read_text("utf-8"))
    return {name: _template(name, table) for name, table in tables.items()}


def _template(name: str, table: Mapping[str, Any]) -> Template:
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}
    made = Template(name, **given)
    # in a vocabulary that lacks its special tokens they are plain text
    return replace(made, marks=(*made.marks, *(t for t in made.tokens if t not in made.marks)))


def pick_template(tokenizer: Any, wanted: str = AUTO) -> Template:
    """The form in which a model reads a conversation.

    `auto` is the tokenizer's own; where it has none, the one that its special tokens, its folder's
    name or the kind in its config.json tell; else plain text. Raises UsageError for a name that
    `templates.toml` does not have.
    """
    known = templates()
    if wanted in known:
        return known[wanted]
    if wanted != AUTO:
        raise UsageError(
            f"There is no chat template “{wanted}”. Set llm.template to {AUTO} or to one of: "
            f"{', '.join(known)}."
        )
    if own := _own(tokenizer):
        return _described(own, known.values())
    folder = Path(str(getattr(tokenizer, "name_or_path", "") or ""))
    name, kind = folder.name.lower(), _kind(folder)
    special = special_tokens(tokenizer)
    told = (
        *(t for t in known.values() if t.tokens and special.issuperset(t.tokens)),
        *(t for t in known.values() if any(re.search(pattern, name) for pattern in t.names)),
        *(t for t in known.values() if kind in t.types),
    )
    return next(iter(told), known[PLAIN])


def special_tokens(tokenizer: Any) -> set[str]:
    """What the tokenizer reads as one special token, wherever it stands."""
    added = [str(t) for t in tokenizer.added_tokens_decoder.values() if t.special]
    return {*tokenizer.all_special_tokens, *added}


def _own(tokenizer: Any) -> str:
    """The source of the tokenizer's own chat template; empty where it has none."""
    found = tokenizer.chat_template
    if isinstance(found, dict):
        found = found.get("default", "")
    return found or ""


def _described(source: str, known: Iterable[Template]) -> Template:
    """What ends turns and marks them in a tokenizer's own template, as far as it can be told."""
    marks = {
        mark
        for template in known
        for mark in template.marks
        if re.search(re.escape(mark) + (r"[\s'\"\\]" if mark[0].isalpha() else ""), source)
    }
    marks.update(re.findall(r"<\|[^|<>{}\s]+\|>", source))
    alike = [t for t in known if (told := (*t.tokens, *t.marks)) and all(m in source for m in told)]
    first = alike[0] if alike else Template(OWN)
    return replace(
        first,
        name=OWN,
        source="the tokenizer's own",
        template="",
        merges=False,
        marks=tuple(sorted(marks)),
    )


def _kind(folder: Path) -> str:
    try:
        return str(json.loads((folder / "config.json").read_text("utf-8")).get("model_type", ""))
    except (OSError, ValueError, AttributeError):
        return ""
