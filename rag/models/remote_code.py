"""Models that need code of their own, which is never run."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

CONFIG, TOKENIZER_CONFIG, TOKENIZER = "config.json", "tokenizer_config.json", "tokenizer.json"

_ADVICE = "Cloister runs no model's code. Take a model that transformers knows by itself."


def code_needed(read: Callable[[str], str | None], name: str) -> str | None:
    """Why the model `name` cannot be loaded without running code that came with it; else None.

    `read` gives the text of a file of the model by its path, None where it has none. A model may
    bring code (`auto_map`) and yet be one whose `model_type` transformers knows; then that is used.
    """
    config = json_object(read(CONFIG))
    if "auto_map" in config and not known_type(config.get("model_type")):
        return (
            f"The model {name} needs code of its own (auto_map in config.json): transformers does "
            f"not know its kind, “{str(config.get('model_type'))[:60]}”. {_ADVICE}"
        )
    tokenizer = json_object(read(TOKENIZER_CONFIG)).get("auto_map")
    own = isinstance(tokenizer, dict) and "AutoTokenizer" in tokenizer
    if own and read(TOKENIZER) is None:
        return (
            f"The tokenizer of the model {name} needs code of its own (auto_map in "
            f"tokenizer_config.json), and there is no tokenizer.json. {_ADVICE}"
        )
    return None


def known_type(model_type: object) -> bool:
    """Whether the installed transformers has the code of a `model_type`."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    return isinstance(model_type, str) and model_type in CONFIG_MAPPING_NAMES


def json_object(text: str | None) -> dict[str, Any]:
    """The object that a JSON text is; empty where it is none, or there is none."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
