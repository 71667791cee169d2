"""What all tests share: no network, no settings from outside, the starter models."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCK = ROOT / "tests" / "no_network"

# before anything of Cloister or of its libraries is imported
_MODELS = Path(os.environ.get("CLOISTER_MODELS") or ROOT / "data" / "models").absolute()
for _name in [name for name in os.environ if name.startswith("CLOISTER_")]:
    del os.environ[_name]
os.environ.update(
    HF_HUB_OFFLINE="1",
    ANONYMIZED_TELEMETRY="False",
    TOKENIZERS_PARALLELISM="false",
    PYTHONPATH=os.pathsep.join(
        [str(BLOCK), *filter(None, [os.environ.get("PYTHONPATH", "").strip(os.pathsep)])]
    ),
)
sys.path.insert(0, str(BLOCK))
from network_block import block  # noqa: E402

block()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this machine cannot run, with the reason."""
    missing = {
        "gpu": None if Path("/dev/nvidia0").exists() else "no NVIDIA GPU is here",
        "browser": None if _find_chromium() else "no Chromium is here (see tools/browser.py)",
    }
    for item in items:
        for marker, reason in missing.items():
            if reason and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


def _find_chromium() -> str | None:
    from tools.browser import find_chromium

    return find_chromium()


@pytest.fixture(autouse=True)
def _clean_environment() -> Iterator[None]:
    """No CLOISTER_* variable that a test sets reaches the next one."""
    before = {name: value for name, value in os.environ.items() if name.startswith("CLOISTER_")}
    yield
    for name in [name for name in os.environ if name.startswith("CLOISTER_")]:
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Chromium; a test that takes it is marked `browser`."""
    found = _find_chromium()
    if found is None:
        pytest.skip("no Chromium is here (see tools/browser.py)")
    return found


@pytest.fixture(scope="session")
def models_path() -> Path:
    """The folder of the real starter models: CLOISTER_MODELS, else data/models."""
    for name in ("all-MiniLM-L6-v2", "SmolLM2-135M-Instruct"):
        if not (_MODELS / name / "cloister-model.json").is_file():
            pytest.fail(f"The model {name} is not in {_MODELS}. Fetch it with: make setup")
    return _MODELS
