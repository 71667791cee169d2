"""Which packed precisions can be loaded here, and how a checkpoint was packed by its makers."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_PACKAGE = "bitsandbytes"
_PACKED = ("int8", "int4")
# the names that quantizers have for the bits of a weight
_BITS = ("bits", "w_bit", "num_bits", "nbits")
_MOST_BITS = 32
_BY_NAME = {"fp8": 8, "fbgemm_fp8": 8}
# transformers unpacks it, since its kernels would be fetched from a hub
_UNPACKED = "mxfp4"


def loads(precision: str, device: str, config: Mapping[str, Any] | None = None) -> bool:
    """Whether a precision can be loaded on a torch device, of a model of a `config.json`.

    8 bits on a processor are ours; all else that is packed needs bitsandbytes. What its makers
    packed is not packed again.
    """
    if precision not in _PACKED:
        return True
    if config is not None and _given(config):
        return False
    return (precision == "int8" and device == "cpu") or find_spec(_PACKAGE) is not None


def packed_bits(config: Mapping[str, Any]) -> int:
    """The bits of a weight that its makers packed; 0 where it is not packed once it is loaded.

    32, the most, where the configuration does not tell them.
    """
    given = _given(config)
    method = str(given.get("quant_method", ""))
    if not given or method == _UNPACKED:
        return 0
    if method in _BY_NAME:
        return _BY_NAME[method]
    for name, bits in (("load_in_4bit", 4), ("load_in_8bit", 8)):
        if given.get(name) is True:
            return bits
    return _found(given) or _MOST_BITS


def stored_bytes(folder: Path) -> int:
    """The bytes of a folder's weights as they are packed in its files; 0 where there are none."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def _given(config: Mapping[str, Any]) -> Mapping[str, Any]:
    given = config.get("quantization_config")
    return given if isinstance(given, Mapping) else {}


def _found(given: Mapping[str, Any]) -> int:
    for name in _BITS:
        bits = given.get(name)
        if isinstance(bits, int) and 1 <= bits <= 16:
            return bits
    inner = (_found(value) for value in given.values() if isinstance(value, Mapping))
    return max(inner, default=0)
